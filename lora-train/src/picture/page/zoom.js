"use strict";
// Enlarges pictures. Those with the same data-set are neighbours by data-x and data-y.
const dialog = document.querySelector("dialog");
const enlarged = dialog.querySelector("img");
const caption = dialog.querySelector("figcaption");
const previous = dialog.querySelector(".previous");
const next = dialog.querySelector(".next");
const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let current;

function neighbour([right, down]) {
  const { set, x, y } = current.dataset;
  return document.querySelector(`[data-set="${set}"][data-x="${+x + right}"][data-y="${+y + down}"]`);
}

function show(picture) {
  if (!picture) return;
  current = picture;
  enlarged.src = picture.querySelector("img").src;
  enlarged.alt = caption.textContent = picture.title;
  previous.disabled = !neighbour(moves.ArrowLeft);
  next.disabled = !neighbour(moves.ArrowRight);
  dialog.classList.toggle("curve", picture.dataset.set === "curve");
  if (!dialog.open) dialog.showModal();
}

for (const picture of document.querySelectorAll(".picture")) {
  picture.addEventListener("click", () => show(picture));
}
previous.addEventListener("click", () => show(neighbour(moves.ArrowLeft)));
next.addEventListener("click", () => show(neighbour(moves.ArrowRight)));
dialog.addEventListener("click", (event) => {
  if (!event.target.closest(".step")) dialog.close();
});
dialog.addEventListener("close", () => current.focus());
dialog.addEventListener("keydown", (event) => {
  if (!moves[event.key]) return;
  event.preventDefault();
  show(neighbour(moves[event.key]));
});
for (const size of document.querySelectorAll(".size input")) {
  size.addEventListener("input", () => document.documentElement.style.setProperty("--side", `${size.value}px`));
}
