// Comfort only: everything on these pages works without this file.

// Show what is typed as a password.
for (const label of document.querySelectorAll("[data-shows]")) {
  const field = document.getElementById(label.dataset.shows);
  const box = label.querySelector("input");
  label.hidden = false;
  box.addEventListener("change", () => { field.type = box.checked ? "text" : "password"; });
}

// A part of the page that keeps itself fresh, as long as nobody is at work in it.
async function renew(part) {
  if (document.hidden || part.contains(document.activeElement) || part.querySelector("details[open]")) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(part.id);
  if (fresh && fresh.innerHTML !== part.innerHTML && !part.contains(document.activeElement)) {
    part.replaceChildren(...fresh.childNodes);
  }
}
for (const part of document.querySelectorAll("[data-refresh]")) {
  setInterval(() => { renew(part).catch(() => {}); }, Number(part.dataset.refresh) * 1000);
}

// Lists that follow what one types in their search field; the address follows too, so that it can be kept.
let asked = 0;
async function find(form, part) {
  const url = new URL(form.action);
  url.search = new URLSearchParams(new FormData(form)).toString();
  const mine = ++asked;
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected || mine !== asked) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(part.id);
  if (fresh && mine === asked) {
    part.replaceChildren(...fresh.childNodes);
    history.replaceState(null, "", url);
  }
}
for (const form of document.querySelectorAll("[data-live]")) {
  const part = document.getElementById(form.dataset.live);
  let waits = 0;
  form.addEventListener("input", () => {
    clearTimeout(waits);
    waits = setTimeout(() => { find(form, part).catch(() => {}); }, 150);
  });
}

// "/" goes to the search field, as in many tools.
document.addEventListener("keydown", (press) => {
  if (press.key !== "/" || press.ctrlKey || press.metaKey || press.altKey) return;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
  const field = document.querySelector("input[type=search]");
  if (field) { press.preventDefault(); field.focus(); }
});
