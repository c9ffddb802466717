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
  if (document.hidden || part.contains(document.activeElement)) return;
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
