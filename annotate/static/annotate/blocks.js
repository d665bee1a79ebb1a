// Blocks, as annotate/rendering.py writes them into JSON, become nodes: one renderer, nothing parsed in the browser.

/** @typedef {{type: string, text?: string, level?: number, start?: number|null, address?: string, slug?: string, language?: string, spans?: Block[], blocks?: Block[], items?: Block[]}} Block */

const SPANS = { strong: "strong", em: "em", code: "code" };

/** @param {string} tag @param {(Node|string)[]} children */
function node(tag, children = []) {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
}

/** @param {Block} span @returns {Node} */
function inline(span) {
  const children = span.spans ? span.spans.map(inline) : [span.text ?? ""];
  if (span.type === "break") return node("br");
  if (span.type === "link") {
    const link = node("a", children);
    if (/^(?:https?|mailto):/i.test(span.address)) link.setAttribute("href", span.address);
    link.setAttribute("rel", "noopener noreferrer nofollow");
    return link;
  }
  if (span.type === "term") {
    const link = node("a", children);
    if (span.address.startsWith("/")) link.setAttribute("href", span.address);
    link.className = "term";
    link.dataset.term = span.slug;
    return link;
  }
  return span.type in SPANS ? node(SPANS[span.type], children) : document.createTextNode(span.text ?? "");
}

/** @param {Block} block @returns {Node} */
function whole(block) {
  const spans = () => block.spans.map(inline);
  if (block.type === "heading") return node(`h${Math.min(6, block.level + 2)}`, spans());
  if (block.type === "code") return node("pre", [node("code", [block.text])]);
  if (block.type === "rule") return node("hr");
  if (block.type === "quote") return node("blockquote", block.blocks.map(whole));
  if (block.type === "item") return node("li", block.blocks.map(whole));
  if (block.type !== "list") return node("p", spans());
  const list = node(block.start === null ? "ul" : "ol", block.items.map(whole));
  if (block.start !== null) list.setAttribute("start", String(block.start));
  return list;
}

/** @param {Block[]} blocks @returns {DocumentFragment} */
export function render(blocks) {
  const fragment = document.createDocumentFragment();
  fragment.append(...blocks.map(whole));
  return fragment;
}
