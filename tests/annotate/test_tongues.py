"""Languages by script and function words: sure or silent."""

import pytest

from annotate.cleaning.language import Tongue, differ, tongue_of

TEXTS = {
    "en": "The cat sat on the mat, and it was not happy with what it had to eat that day.",
    "de": "Die Katze saß auf der Matte und war nicht zufrieden mit dem, was sie zu essen bekam.",
    "nl": "De kat zat op de mat en was niet blij met het eten dat zij van de buren kreeg.",
    "fr": "Le chat était sur le tapis et il ne voulait pas manger les croquettes que nous avions dans la cuisine.",
    "es": "El gato estaba en la alfombra y no quería comer lo que los vecinos le dieron por la noche.",
    "it": "Il gatto era sul tappeto e non voleva mangiare il cibo che gli avevano dato i vicini della casa.",
    "pt": "O gato estava no tapete e não queria comer o que os vizinhos deram para ele, mas isso não é novo.",
}


@pytest.mark.parametrize("code", TEXTS)
def test_a_sentence_tells_its_language(code):
    assert tongue_of(TEXTS[code]) == Tongue("latin", code)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Кошка сидела на коврике.", "cyrillic"),
        ("猫はマットの上に座っていました。", "japanese"),
        ("猫坐在垫子上，今天不太高兴。", "han"),
        ("고양이가 매트 위에 앉았다.", "hangul"),
        ("جلست القطة على السجادة.", "arabic"),
    ],
)
def test_another_script_tells_itself_alone(text, script):
    assert tongue_of(text) == Tongue(script)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "min(a, b)",
        "```python\nfor the in of: that is it and to\n```",
        "Katten satt på mattan och åt sin fisk.",
    ],
)
def test_what_is_short_or_code_or_unknown_has_no_language(text):
    assert tongue_of(text).language == ""


def test_only_what_is_sure_differs():
    english, german, unsure = Tongue("latin", "en"), Tongue("latin", "de"), Tongue("latin")
    assert differ(english, german)
    assert differ(unsure, Tongue("han"))
    assert not differ(english, unsure)
    assert not differ(english, Tongue(""))
