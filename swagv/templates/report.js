"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

function element(name, text, more = {}) {
  const made = Object.assign(document.createElement(name), more);
  if (text !== undefined) made.textContent = text;
  return made;
}

function options(select, names) {
  names.forEach((name, index) => select.append(element("option", name, { value: index })));
}

// Tables: a click sorts the rows of each block by a column, the better side first; the third click undoes it.
for (const table of document.querySelectorAll("table.sortable")) {
  const blocks = [...table.tBodies].map((body) => ({ body, rows: [...body.rows] }));
  for (const button of table.querySelectorAll("th > button")) {
    const head = button.parentElement, column = button.dataset.column;
    const first = button.dataset.first; // "ascending" or "descending"
    const other = first === "ascending" ? "descending" : "ascending";
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const next = now === first ? other : now === other ? null : first;
      for (const each of table.querySelectorAll("th[aria-sort]")) each.removeAttribute("aria-sort");
      if (next) head.setAttribute("aria-sort", next);
      for (const { body, rows } of blocks) {
        const fixed = rows.filter((row) => row.classList.contains("block"));
        const moved = rows.filter((row) => !row.classList.contains("block"));
        if (next) moved.sort((a, b) => compare(a, b, column, next === "ascending" ? 1 : -1));
        body.replaceChildren(...fixed, ...moved);
      }
    });
  }
}

function compare(a, b, column, sign) {
  const [x, y] = [a, b].map((row) => row.querySelector(`[data-column="${column}"]`)?.dataset.value ?? "");
  if (x === "" || y === "") return (x === "") - (y === ""); // what has no number stays below
  const numbers = [x, y].map(Number);
  return sign * (numbers.some(Number.isNaN) ? x.localeCompare(y) : numbers[0] - numbers[1]);
}

// Wins: how often the method of the row beats that of the column on the same clips.
const wins = document.getElementById("wins");
if (wins) {
  const choice = wins.querySelector("select"), place = wins.querySelector(".scroll"), says = wins.querySelector("output");
  options(choice, data.comparisons.map((one) => one.title));
  choice.addEventListener("change", () => showWins(data.comparisons[choice.value]));
  function showWins(one) {
    const pairs = new Map(one.pairs.flatMap(([a, b, n, difference, low, high, p, win]) => [
      [`${a} ${b}`, { n, difference, low, high, p, win }],
      [`${b} ${a}`, { n, difference: -difference, low: high === null ? null : -high, high: low === null ? null : -low, p, win: 1 - win }],
    ]));
    const table = element("table", undefined, { className: "matrix" });
    const head = table.createTHead().insertRow();
    head.append(element("td"));
    one.methods.forEach((name) => head.append(element("th", name, { scope: "col" })));
    const body = table.createTBody();
    one.methods.forEach((name, a) => {
      const row = body.insertRow();
      row.append(element("th", name, { scope: "row" }));
      one.methods.forEach((other, b) => {
        const cell = row.insertCell(), pair = pairs.get(`${a} ${b}`);
        if (!pair) return;
        const button = element("button", Math.round(100 * pair.win), { title: sentence(one, name, other, pair) });
        const strength = Math.abs(pair.win - 0.5) * 1.2;
        cell.style.background = pair.win > 0.5 ? `rgb(11 98 196 / ${strength})` : `rgb(214 106 0 / ${strength})`;
        if (pair.p !== null && pair.p < 0.05) button.className = "sure";
        button.addEventListener("click", () => { says.textContent = button.title; });
        cell.append(button);
      });
    });
    place.replaceChildren(table);
    says.textContent = `Tap a cell for the difference, its interval and p. ${floor(one)}`;
  }
  showWins(data.comparisons[0]);
}

// What a p can be at best: with few videos and many pairs, none is small, whatever the methods do.
function floor(one) {
  const pairs = one.tested;
  if (one.least === null) return "One video says nothing of the spread: there is no p.";
  return `${one.videos} videos and ${pairs} ${pairs === 1 ? "pair" : "pairs"} allow no p below ${one.least.toPrecision(2)}.`;
}

function sentence(one, name, other, pair) {
  const number = (value) => `${value > 0 ? "+" : ""}${value.toFixed(one.digits)}`.replace("-", "−");
  const spread = pair.low === null ? "one video, no interval"
    : `95 % interval ${number(pair.low)} to ${number(pair.high)}, p = ${pair.p.toPrecision(2)} (Holm)`;
  return `${name} beats ${other} on ${Math.round(100 * pair.win)} % of ${pair.n} clips; mean difference ${number(pair.difference)}, ${spread}.`;
}

// Gallery: one clip and network, every method, the frame of the slider.
const gallery = document.getElementById("gallery");
if (gallery) {
  const part = (name) => gallery.querySelector(`[name=${name}]`);
  const [clips, models, frame, opacity, box, play] = ["clip", "model", "frame", "opacity", "box", "play"].map(part);
  const cards = gallery.querySelector(".cards"), said = gallery.querySelector(".said");
  const frameText = gallery.querySelector(".frame-number"), opacityText = gallery.querySelector(".opacity-number");
  let clip, frames, tiles = [], timer = null, chosen = 0;

  function pixels(image, [count, height, width]) {
    const canvas = element("canvas", undefined, { width: image.naturalWidth, height: image.naturalHeight });
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.drawImage(image, 0, 0);
    const columns = Math.ceil(Math.sqrt(count));
    return (t) => pen.getImageData((t % columns) * width, Math.floor(t / columns) * height, width, height).data;
  }

  async function read(source, size) {
    const image = new Image();
    image.src = source;
    await image.decode();
    return pixels(image, size);
  }

  async function showClip() {
    const turn = ++chosen;
    cards.setAttribute("aria-busy", true);
    const next = data.clips[clips.value], names = next.models.map((one) => one.model);
    const kept = models.selectedOptions[0]?.textContent;
    models.replaceChildren();
    options(models, names);
    models.value = Math.max(0, names.indexOf(kept));
    const decoded = await read(next.frames, next.size);
    if (turn !== chosen) return; // another clip was chosen meanwhile
    clip = next;
    frames = decoded;
    frame.max = clip.size[0];
    if (Number(frame.value) > clip.size[0]) frame.value = clip.size[0];
    await showModel();
  }

  async function showModel() {
    const turn = ++chosen;
    cards.setAttribute("aria-busy", true);
    const model = clip.models[models.value];
    const maps = await Promise.all(model.methods.map((one) => (one.map ? read(one.map, clip.size) : null)));
    if (turn !== chosen) return;
    said.textContent = `${model.model} says: ${model.said}`;
    tiles = [{ map: null, canvas: card("frames", "ok", {}) }];
    cards.replaceChildren(tiles[0].canvas.parentElement);
    model.methods.forEach((one, index) => {
      const canvas = card(one.method, one.status, one.scores);
      if (maps[index]) tiles.push({ map: maps[index], canvas });
      cards.append(canvas.parentElement);
    });
    draw();
    cards.removeAttribute("aria-busy");
  }

  function card(name, status, scores) {
    const figure = element("figure"), [, height, width] = clip.size;
    const canvas = element("canvas", undefined, { width: 2 * width, height: 2 * height });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", name);
    const caption = element("figcaption");
    caption.append(element("b", name));
    const shown = Object.entries(scores).map(([key, value]) => `${key} ${value.toFixed(3)}`).join(" · ");
    caption.append(element("small", status === "ok" ? shown : status));
    if (status !== "ok") canvas.hidden = true;
    figure.append(canvas, caption);
    return canvas;
  }

  function draw() {
    const t = Number(frame.value) - 1, strength = Number(opacity.value) / 100, [, height, width] = clip.size;
    frameText.textContent = `${t + 1} of ${clip.size[0]}`;
    opacityText.textContent = `${opacity.value} %`;
    const picture = frames(t), small = element("canvas", undefined, { width, height }), brush = small.getContext("2d");
    for (const { map, canvas } of tiles) {
      const image = new ImageData(new Uint8ClampedArray(picture), width, height);
      if (map) blend(image.data, map(t), strength);
      brush.putImageData(image, 0, 0);
      const pen = canvas.getContext("2d");
      pen.imageSmoothingEnabled = false;
      pen.drawImage(small, 0, 0, 2 * width, 2 * height);
      if (box.checked && clip.boxes[t]) outline(pen, clip.boxes[t]);
    }
  }

  // As `swagv.viz.overlay`: frames darker and in weak colours, the heat opaque in proportion to its height.
  function blend(shown, heat, strength) {
    const { colour, light, luma } = data.look;
    for (let i = 0; i < shown.length; i += 4) {
      const grey = luma[0] * shown[i] + luma[1] * shown[i + 1] + luma[2] * shown[i + 2];
      const alpha = (strength * heat[i]) / 255, at = data.look.colours[heat[i]];
      for (let c = 0; c < 3; c++) {
        const muted = light * (grey + colour * (shown[i + c] - grey));
        shown[i + c] = (1 - alpha) * muted + alpha * at[c];
      }
    }
  }

  function outline(pen, [left, top, right, bottom]) {
    for (const [by, colour] of [[1, "#000"], [0, "#50ff78"]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = 2;
      pen.strokeRect(2 * (left - by), 2 * (top - by), 2 * (right - left + 1 + 2 * by), 2 * (bottom - top + 1 + 2 * by));
    }
  }

  options(clips, data.clips.map((one) => `${one.clip_id} (${one.dataset})`));
  clips.addEventListener("change", showClip);
  models.addEventListener("change", showModel);
  for (const control of [frame, opacity, box]) control.addEventListener("input", draw);
  play.addEventListener("click", () => {
    clearInterval(timer);
    timer = timer ? null : setInterval(() => {
      frame.value = (Number(frame.value) % clip.size[0]) + 1;
      draw();
    }, 150);
    play.textContent = timer ? "Pause" : "Play";
  });
  showClip();
}
