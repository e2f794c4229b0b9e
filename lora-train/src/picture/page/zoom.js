"use strict";
// Enlarges pictures. Those with the same data-set are neighbours by data-x and data-y. A picture with a data-id has its
// large version in the element of that id, as text that costs nothing until it is shown, and its settings in another.
const dialog = document.querySelector("dialog");
const enlarged = dialog.querySelector("img");
const caption = dialog.querySelector("figcaption");
const settings = dialog.querySelector(".settings");
const copy = dialog.querySelector(".copy");
const previous = dialog.querySelector(".previous");
const next = dialog.querySelector(".next");
const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let current;

function neighbour([right, down]) {
  const { set, x, y } = current.dataset;
  return document.querySelector(`[data-set="${set}"][data-x="${+x + right}"][data-y="${+y + down}"]`);
}

function textOf(id) {
  return document.getElementById(id)?.textContent ?? "";
}

function large(picture) {
  return textOf(picture.dataset.id) || picture.querySelector("img").src;
}

function show(picture) {
  if (!picture) return;
  current = picture;
  enlarged.src = large(picture);
  enlarged.alt = caption.textContent = picture.title;
  settings.firstElementChild.textContent = textOf(`${picture.dataset.id}-text`);
  settings.hidden = !settings.firstElementChild.textContent;
  copy.textContent = "Copy";
  previous.disabled = !neighbour(moves.ArrowLeft);
  next.disabled = !neighbour(moves.ArrowRight);
  dialog.classList.toggle("curve", picture.dataset.set === "curve");
  if (dialog.open) return;
  dialog.showModal();
  dialog.focus();
}

document.addEventListener("click", (event) => show(event.target.closest(".picture")));
previous.addEventListener("click", () => show(neighbour(moves.ArrowLeft)));
next.addEventListener("click", () => show(neighbour(moves.ArrowRight)));
dialog.addEventListener("click", (event) => {
  if (!event.target.closest(".step, .settings")) dialog.close();
});
dialog.addEventListener("close", () => current.focus());
dialog.addEventListener("keydown", (event) => {
  if (!moves[event.key]) return;
  event.preventDefault();
  show(neighbour(moves[event.key]));
});
copy.addEventListener("click", () => {
  // Selecting and copying works everywhere, also for a page opened from a file, where browsers may refuse the clipboard.
  getSelection().selectAllChildren(settings.firstElementChild);
  copy.textContent = document.execCommand("copy") ? "Copied" : "Selected";
});

// Where cells are shown larger than their small versions are, those in view get the large ones.
const small = new Map();
const inView = new Set();
let side = 144;

function sharpen(picture) {
  const image = picture.querySelector("img");
  if (!small.has(picture)) small.set(picture, [image.src, image.naturalWidth]);
  const [source, width] = small.get(picture);
  const wanted = inView.has(picture) && side > width && textOf(picture.dataset.id);
  image.src = wanted || source;
}

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) inView.add(target);
    else inView.delete(target);
    if (side > 144 || small.has(target)) sharpen(target);
  }
});
document.querySelectorAll(".picture[data-id]").forEach((picture) => watcher.observe(picture));
for (const size of document.querySelectorAll(".size input")) {
  size.addEventListener("input", () => {
    side = +size.value;
    document.documentElement.style.setProperty("--side", `${side}px`);
    document.querySelectorAll(".size input").forEach((other) => (other.value = side));
    inView.forEach(sharpen);
  });
}
