/** In the admin, beside the crontab of a periodic task: what the chosen one says in words. */

const words = JSON.parse(document.getElementById("readable-crontabs").textContent);
const choice = document.getElementById("id_crontab");

// What the saved one says is told there too; of the chosen one it may be wrong.
for (const row of document.querySelectorAll(".field-crontab_translation")) row.hidden = true;
if (choice) {
  const said = document.createElement("output");
  said.htmlFor = choice.id;
  said.className = "crontab-words";
  choice.closest(".field-crontab").append(said);
  const tell = () => { said.textContent = words[choice.value] ?? ""; };
  choice.addEventListener("change", tell);
  tell();
}
