#include <cmath>
#include <nlohmann/json.hpp>

#include "clearway/base/text.hpp"
#include "clearway/stat/study_identifiability.hpp"

namespace clearway {

namespace {

using Json = nlohmann::ordered_json;

std::string definition(IdentifiabilityForm form) {
  for (const auto& entry : enum_names(form))
    if (entry.value == form) return std::string(entry.help);
  return {};
}

std::string verdict_word(const IdentifiabilityRow& row) {
  if (row.verdict == IdentifiabilityVerdict::undecided) return "undecided";
  return row.verdict == IdentifiabilityVerdict::independent ? "yes" : "no";
}

// The first few of a list, and how many more there are.
std::string some(const std::vector<std::string>& texts, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < std::min(most, texts.size()); ++i) text += (i == 0 ? "" : "; ") + texts[i];
  if (texts.size() > most) text += fmt::format("; and {} more", texts.size() - most);
  return text;
}

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + "\"";
}

}  // namespace

std::string study_text(const IdentifiabilityStudy& study) {
  const IdentifiabilityOptions& options = study.options;
  std::string text = fmt::format("Identifiability behind a {} gate: {} of {}, 50 digits\n", enum_name(options.gate),
                                 plural(static_cast<std::size_t>(options.sets), "random set"),
                                 plural(static_cast<std::size_t>(options.atoms), "atom"));
  std::size_t width = 6;
  for (const IdentifiabilityRow& row : study.rows) width = std::max(width, row.expert.size());
  IdentifiabilityForm last = IdentifiabilityForm::lse;
  bool any = false;
  for (const IdentifiabilityForm form : {IdentifiabilityForm::lse, IdentifiabilityForm::mle, IdentifiabilityForm::weak})
    for (const IdentifiabilityRow& row : study.rows) {
      if (row.form != form) continue;
      if (!any || last != form) {
        text += fmt::format("\n{}: {}\n", enum_name(form), definition(form));
        text += fmt::format("{:<{}}  {:>12}  {:>9}  {:>14}  {:>14}  {:>6}\n", "expert", width, "identifiable",
                            "functions", "smallest s.v.", "2 n inputs", "papers");
      }
      any = true;
      last = form;
      text += fmt::format("{:<{}}  {:>12}  {:>9}  {:>14.2e}  {:>14.2e}  {:>6}\n", row.expert, width, verdict_word(row),
                          row.functions, row.smallest, row.smallest_doubled, row.papers.empty() ? "-" : row.papers);
      text += fmt::format("  h = {}\n", row.formula);
      for (std::size_t i = 0; i < std::min<std::size_t>(4, row.combinations.size()); ++i)
        text += fmt::format("  {}\n", row.combinations[i]);
      if (row.combinations.size() > 4) text += fmt::format("  and {} more\n", row.combinations.size() - 4);
      if (!row.coinciding.empty()) text += fmt::format("  one function, counted once: {}\n", some(row.coinciding, 3));
      if (!row.note.empty()) text += fmt::format("  note: {}\n", row.note);
    }
  text +=
      "\nThe smallest singular value is relative to the largest, columns of unit length, worst set. A dependence "
      "leaves\n"
      "rounding of 50 digits (below 1e-36); twice as many inputs must say the same.\n";
  return text;
}

std::string study_json(const IdentifiabilityStudy& study) {
  Json rows = Json::array();
  for (const IdentifiabilityRow& row : study.rows)
    rows.push_back(Json{{"expert", row.expert},
                        {"formula", row.formula},
                        {"form", std::string(enum_name(row.form))},
                        {"verdict", std::string(enum_name(row.verdict))},
                        {"papers", row.papers.empty() ? Json(nullptr) : Json(row.papers)},
                        {"functions", row.functions},
                        {"smallest_singular_value", number(row.smallest)},
                        {"smallest_singular_value_doubled", number(row.smallest_doubled)},
                        {"combinations", row.combinations},
                        {"coinciding", row.coinciding},
                        {"note", row.note}});
  const Json json{{"study", "identifiability"},   {"gate", std::string(enum_name(study.options.gate))},
                  {"atoms", study.options.atoms}, {"sets", study.options.sets},
                  {"seed", study.options.seed},   {"rows", std::move(rows)}};
  return json.dump(2) + "\n";
}

std::string study_csv(const IdentifiabilityStudy& study) {
  std::string text =
      "expert,formula,form,verdict,papers,functions,smallest_singular_value,smallest_singular_value_doubled,"
      "combinations\n";
  for (const IdentifiabilityRow& row : study.rows)
    text += fmt::format("{},{},{},{},{},{},{},{},{}\n", row.expert, quoted(row.formula), enum_name(row.form),
                        enum_name(row.verdict), row.papers, row.functions, row.smallest, row.smallest_doubled,
                        quoted(some(row.combinations, row.combinations.size())));
  return text;
}

std::string study_markdown(const IdentifiabilityStudy& study) {
  std::string text =
      "| expert | h(x) | form | identifiable | papers | functions | smallest s.v. | 2 n inputs | offending "
      "combinations |\n"
      "|---|---|---|---|---|---|---|---|---|\n";
  for (const IdentifiabilityRow& row : study.rows) {
    std::string combinations;
    for (std::size_t i = 0; i < std::min<std::size_t>(2, row.combinations.size()); ++i)
      combinations += (i == 0 ? "`" : ", `") + row.combinations[i] + "`";
    if (row.combinations.size() > 2) combinations += fmt::format(", {} more", row.combinations.size() - 2);
    text += fmt::format("| {} | `{}` | {} | {} | {} | {} | {:.1e} | {:.1e} | {} |\n", row.expert, row.formula,
                        enum_name(row.form), verdict_word(row), row.papers, row.functions, row.smallest,
                        row.smallest_doubled, combinations);
  }
  return text;
}

}  // namespace clearway
