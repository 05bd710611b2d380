// What the page does beyond being read: enlarge, sort, play. Without it, nothing is missing to read.
"use strict";

const dialog = document.querySelector("#enlarged");

function enlarge(shown, caption) {
  dialog.querySelector(".stage").replaceChildren(shown.cloneNode(true));
  dialog.querySelector("figcaption").textContent = caption;
  dialog.showModal();
}

for (const shown of document.querySelectorAll("[data-enlarge]")) {
  const drawing = shown.querySelector("svg");
  const text = drawing ? drawing.getAttribute("aria-label") : shown.alt;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "enlarge";
  button.setAttribute("aria-label", `Enlarge: ${text}`);
  if (drawing) {
    shown.append(button); // over the drawing, whose words are no part of its name
  } else {
    shown.before(button);
    button.append(shown);
  }
  button.addEventListener("click", () => enlarge(drawing || shown, text));
}
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

function key(row, column) {
  const cell = row.cells[column];
  if (!("value" in cell.dataset)) return cell.textContent.trim();
  return cell.dataset.value === "" ? null : Number(cell.dataset.value);
}

function compare(first, second) {
  if (typeof first === "number") return first - second;
  return first.localeCompare(second, undefined, { numeric: true });
}

function sort(table, head) {
  const body = table.tBodies[0];
  const column = head.cellIndex;
  const numeric = "value" in body.rows[0].cells[column].dataset;
  const before = head.getAttribute("aria-sort");
  const order = before ? (before === "ascending" ? "descending" : "ascending")
    : numeric ? "descending" : "ascending";
  const sign = order === "ascending" ? 1 : -1;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const rows = [...body.rows].map((row) => [key(row, column), row]);
  rows.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b));
  body.append(...rows.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  if (table.tBodies[0].rows.length < 2) continue;
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, head));
  }
}

for (const command of document.querySelectorAll(".command")) {
  if (!navigator.clipboard) break;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(command.querySelector("code").textContent);
    button.textContent = "Copied";
  });
  command.append(button);
}

// A recording is one picture of all its frames; a canvas shows one of them.
function recording(figure) {
  const { frames, columns, width, height, label, sprite } = figure.dataset;
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  const cursor = document.createElement("span");
  cursor.className = "cursor";
  figure.prepend(canvas);
  figure.querySelector(".timeline").append(cursor);
  const sheet = new Image();
  const pen = canvas.getContext("2d");
  let shown = 0;
  const show = (frame) => {
    shown = frame % frames;
    const x = (shown % columns) * width;
    const y = Math.floor(shown / columns) * height;
    pen.drawImage(sheet, x, y, width, height, 0, 0, width, height);
    cursor.style.left = `${100 * (shown + 0.5) / frames}%`;
  };
  sheet.addEventListener("load", () => show(shown));
  sheet.src = sprite;
  return show;
}

const FRAMES_A_SECOND = 12;

function player(element) {
  const shows = [...element.querySelectorAll(".recording")].map(recording);
  const controls = element.querySelector(".controls");
  const button = controls.querySelector("button");
  const slider = controls.querySelector("input");
  const output = controls.querySelector("output");
  const count = Number(element.dataset.frames);
  const milliseconds = Number(element.dataset.frameMs);
  let timer = null;
  const show = (frame) => {
    const text = `Frame ${frame + 1} of ${count}, at ${Math.round(frame * milliseconds)} ms`;
    slider.value = frame;
    slider.setAttribute("aria-valuetext", text);
    output.textContent = text;
    for (const one of shows) one(frame);
  };
  const play = (playing) => {
    clearInterval(timer);
    timer = playing ? setInterval(() => show((Number(slider.value) + 1) % count), 1000 / FRAMES_A_SECOND) : null;
    button.textContent = playing ? "Pause" : "Play";
    button.setAttribute("aria-label", playing ? "Pause" : "Play");
  };
  button.addEventListener("click", () => play(timer === null));
  slider.addEventListener("input", () => {
    play(false);
    show(Number(slider.value));
  });
  controls.hidden = false;
  show(0);
  play(!matchMedia("(prefers-reduced-motion: reduce)").matches);
}

for (const element of document.querySelectorAll(".player")) player(element);
