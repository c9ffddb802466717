// The link's code travels in the fragment, which browsers send to no server; here it moves into the form.
const token = document.getElementById("token");
const match = /^#t=([A-Za-z0-9_-]{1,100})$/.exec(location.hash);
if (match) {
  token.value = match[1];
  history.replaceState(null, "", location.pathname);
  document.getElementById("password").focus();
}
const show = document.getElementById("show");
show.parentElement.hidden = false;
show.addEventListener("change", () => {
  document.getElementById("password").type = show.checked ? "text" : "password";
});
