/** In the admin, beside the crontab of a periodic task: what the chosen one says in words. */

const words = JSON.parse(document.getElementById("readable-crontabs").textContent);
const choice = document.getElementById("id_crontab");
const help = document.querySelector(".field-crontab .help");
const translation = document.querySelector(".field-crontab_translation");

if (translation) translation.hidden = true;
if (choice && help) {
  const said = help.textContent;
  choice.addEventListener("change", () => {
    help.textContent = [said, words[choice.value]].filter(Boolean).join(" · ");
  });
}
