// Keeps a page up to date. It fetches the page again and again and changes only what differs, so that focus, selection and
// scroll position stay where they are. Without this script the page is the same, and its link "Refresh" does the work.
"use strict";

const EVERY = 2000; // milliseconds
const PAUSED = "paused";

const button = document.getElementById("pause");
const state = document.getElementById("state");
const news = document.getElementById("news");

let paused = sessionStorage.getItem(PAUSED) === "yes";
let fetching = false;

function show(text, kind) {
  // Written only when it changes: it is read out.
  if (state.textContent !== text) state.textContent = text;
  state.className = kind;
}

function showPause() {
  button.textContent = paused ? "Resume" : "Pause";
  button.setAttribute("aria-label", paused ? "Resume updates" : "Pause updates");
  show(paused ? "Paused" : "Live", paused ? "paused" : "");
}

async function update() {
  if (paused || fetching || document.hidden) return;
  fetching = true;
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(10 * EVERY) });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!fresh.getElementById("main")) throw new Error("not a page");
    if (!paused) {
      renew(fresh);
      show("Live", "");
    }
  } catch {
    if (!paused) show("No answer from the emulator", "lost");
  } finally {
    fetching = false;
  }
}

function renew(fresh) {
  const told = new Map([...document.querySelectorAll("[data-news]")].map((each) => [each.dataset.news, each.textContent]));
  for (const part of document.querySelectorAll("[data-live]")) adapt(part, fresh.getElementById(part.id));
  if (document.title !== fresh.title) document.title = fresh.title;
  for (const each of document.querySelectorAll("[data-news]")) {
    if (told.has(each.dataset.news) && told.get(each.dataset.news) !== each.textContent) {
      news.textContent = `${each.dataset.news} ${each.textContent.trim()}`;
    }
  }
}

// Makes an element like another one of the same kind.
function adapt(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType === Node.TEXT_NODE) {
    old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  adaptChildren(old, fresh);
}

// Children with an id are the same if the id is the same, others if they are alike and in the same place.
function adaptChildren(old, fresh) {
  const wanted = [...fresh.childNodes];
  const ids = new Set(wanted.map((each) => each.id).filter(Boolean));
  for (const each of [...old.children]) if (each.id && !ids.has(each.id)) each.remove();
  let place = old.firstChild;
  for (const each of wanted) {
    const same = each.id ? [...old.children].find((child) => child.id === each.id) : place;
    if (same && same.nodeName === each.nodeName && (same.id || "") === (each.id || "")) {
      if (same === place) place = place.nextSibling;
      else old.insertBefore(same, place);
      adapt(same, each);
    } else {
      old.insertBefore(document.importNode(each, true), place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

button.addEventListener("click", () => {
  paused = !paused;
  sessionStorage.setItem(PAUSED, paused ? "yes" : "no");
  showPause();
  update();
});
document.addEventListener("visibilitychange", update);
button.hidden = state.hidden = false;
showPause();
setInterval(update, EVERY);
