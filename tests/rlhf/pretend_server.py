"""A trainer that serves by the contract (A10) and has nothing to say of its own: it repeats the last message in words.

"die" ends it; "for ever" makes it write until it is cancelled.
"""

import json
import queue
import sys
import threading


def main() -> None:
    lines: queue.SimpleQueue[dict] = queue.SimpleQueue()
    cancelled: set[str] = set()

    def read() -> None:
        for text in sys.stdin:
            line = json.loads(text)
            if "cancel" in line:
                cancelled.add(line["cancel"])
            lines.put(line)
        lines.put({"quit": True})

    threading.Thread(target=read, daemon=True).start()
    while "quit" not in (line := lines.get()):
        if "messages" in line:
            answer(line, cancelled)


def answer(line: dict, cancelled: set[str]) -> None:
    said = line["messages"][-1]["content"]
    if said == "die":
        sys.stderr.write("cannot go on\n")
        sys.exit(1)
    words = [line["adapter"] or "base", *said.split()]
    for word in words:
        say({"id": line["id"], "text": word + " ", "token_ids": [1]})
    while said == "for ever" and line["id"] not in cancelled:
        threading.Event().wait(0.01)
    reason = "cancelled" if said == "for ever" else "stop"
    say({"id": line["id"], "done": True, "reason": reason, "tokens": len(words), "seconds": 0.1})


def say(line: dict) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
