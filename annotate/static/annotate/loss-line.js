// The line of losses that auto-play draws, and its table.

import { made } from "./build.js";

export const LAST = 500;
const BLOCK = 50;

/** @param {HTMLCanvasElement} canvas @param {number[]} losses the last ones, in nats */
export function drawLosses(canvas, losses) {
  const scale = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  Object.assign(canvas, { width: width * scale, height: height * scale });
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  pen.scale(scale, scale);
  const top = Math.max(8, ...losses);
  const x = (at) => (at / (LAST - 1)) * width;
  const y = (loss) => height - 2 - (loss / top) * (height - 4);
  const line = (values, colour, wide) => {
    pen.beginPath();
    values.forEach((loss, at) => pen.lineTo(x(at), y(loss)));
    Object.assign(pen, { strokeStyle: colour, lineWidth: wide });
    pen.stroke();
  };
  pen.globalAlpha = 0.35;
  line(losses, style.color, 1);
  pen.globalAlpha = 1;
  line(smoothed(losses), style.color, 2);
}

const smoothed = (losses) => {
  let mean = losses[0] ?? 0;
  return losses.map((loss) => (mean += 0.05 * (loss - mean)));
};

/** Means of fifty examples each, the newest last. @param {HTMLElement} body */
export function tableOfLosses(body, losses, until) {
  const blocks = [];
  for (let at = 0; at < losses.length; at += BLOCK) blocks.push(losses.slice(at, at + BLOCK));
  const first = until - losses.length;
  body.replaceChildren(...blocks.map((block, nth) => {
    const since = first + nth * BLOCK;
    const mean = block.reduce((sum, loss) => sum + loss, 0) / block.length;
    const range = made("th", { scope: "row" }, `${since + 1}–${since + block.length}`);
    return made("tr", {}, range, made("td", { class: "num" }, mean.toFixed(2)));
  }));
}
