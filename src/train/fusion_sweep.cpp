#include "clearway/train/fusion_sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "clearway/train/fusion_scores.hpp"
#include "clearway/train/paired_difference.hpp"

namespace clearway::train {
namespace {

/// The value of a score at a rate, if the run has it.
const double* score_of(const FusionSweepRun& run, double rate, std::string_view score) {
  for (const auto& [missing, scores] : run.rates)
    if (missing == rate)
      for (const auto& entry : scores)
        if (entry.first == score) return &entry.second;
  return nullptr;
}

FusionSweepCell cell_of(const std::vector<const FusionSweepRun*>& own, const std::vector<const FusionSweepRun*>& first,
                        double rate, const std::string& score) {
  FusionSweepCell cell;
  cell.score = score;
  cell.missing = rate;
  std::vector<double> values, differences;
  double test_share = 0;  // the mean over pairs
  for (const FusionSweepRun* run : own) {
    const double* value = score_of(*run, rate, score);
    if (value == nullptr) continue;
    values.push_back(*value);
    for (const FusionSweepRun* other : first) {
      if (other->split != run->split) continue;
      if (const double* reference = score_of(*other, rate, score)) {
        differences.push_back(*value - *reference);
        test_share += run->test_share;
      }
    }
  }
  if (!differences.empty()) test_share /= static_cast<double>(differences.size());
  cell.runs = static_cast<int>(values.size());
  const Moments own_moments = moments(values);
  cell.mean = own_moments.mean;
  cell.deviation = own_moments.deviation;
  const PairedDifference paired = paired_difference(differences, test_share);
  cell.pairs = static_cast<int>(paired.pairs);
  cell.difference = paired.mean;
  cell.low = paired.low;
  cell.high = paired.high;
  cell.within_noise = paired.within_noise;
  return cell;
}

std::string percent(double rate) {
  return fmt::format("{:.0f} %", 100 * rate);
}

/// What both forms of the table show.
std::vector<std::vector<std::string>> table_cells(const std::vector<FusionSweepRow>& rows, fusion::TargetKind kind) {
  const std::string lead(leading_score(kind));
  std::set<double> rates;
  std::vector<std::string> others;
  for (const FusionSweepRow& row : rows)
    for (const FusionSweepCell& cell : row.cells) {
      rates.insert(cell.missing);
      if (cell.score != lead && std::find(others.begin(), others.end(), cell.score) == others.end())
        others.push_back(cell.score);
    }
  std::vector<std::vector<std::string>> out;
  std::vector<std::string> head{"variant", "splits"};
  for (const double rate : rates)
    head.push_back(rate == 0 ? lead : fmt::format("{} at {} missing", lead, percent(rate)));
  head.emplace_back("to the first");
  for (const std::string& other : others) head.push_back(other);
  head.emplace_back("parameters");
  head.emplace_back("epochs");
  head.emplace_back("CPU s");
  out.push_back(head);
  for (const FusionSweepRow& row : rows) {
    const FusionSweepCell* whole = row.find(lead, *rates.begin());
    std::vector<std::string> line{row.variant, whole != nullptr ? std::to_string(whole->runs) : "0"};
    for (const double rate : rates) {
      const FusionSweepCell* cell = row.find(lead, rate);
      line.push_back(cell == nullptr ? "-" : fmt::format("{:.4f}±{:.4f}", cell->mean, cell->deviation));
    }
    line.push_back(&row == &rows.front() || whole == nullptr || whole->pairs < 2
                       ? "-"
                       : fmt::format("{:+.4f} [{:+.4f}, {:+.4f}]{}", whole->difference, whole->low, whole->high,
                                     whole->within_noise ? " ~" : ""));
    for (const std::string& other : others) {
      const FusionSweepCell* cell = row.find(other, *rates.begin());
      line.push_back(cell == nullptr ? "-" : fmt::format("{:.4f}", cell->mean));
    }
    line.push_back(fmt::format("{:.0f}", row.parameters));
    line.push_back(fmt::format("{:.0f}", row.epochs));
    line.push_back(fmt::format("{:.1f}", row.seconds));
    out.push_back(line);
  }
  return out;
}

}  // namespace

std::vector<FusionVariant> fusion_variants(const std::vector<std::string>& vary) {
  std::vector<std::pair<std::string, std::vector<std::string>>> axes;
  const auto add = [](auto& axis, const std::string& value) {
    if (value.empty()) user_error("vary: a value of '{}' is empty", axis.first);
    if (std::find(axis.second.begin(), axis.second.end(), value) != axis.second.end())
      user_error("vary names {}={} twice", axis.first, value);
    axis.second.push_back(value);
  };
  for (const std::string& word : vary) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) {
      if (axes.empty()) user_error("vary must begin with NAME=VALUE, not '{}'", word);
      add(axes.back(), word);
      continue;
    }
    const std::string name = word.substr(0, equals);
    if (name.empty() || equals + 1 == word.size()) user_error("vary must be NAME=VALUE, not '{}'", word);
    for (const auto& axis : axes)
      if (axis.first == name) user_error("vary names '{}' twice; write {}=A,B", name, name);
    axes.push_back({name, {}});
    add(axes.back(), word.substr(equals + 1));
  }
  std::vector<FusionVariant> out{{}};
  for (const auto& [name, values] : axes) {
    std::vector<FusionVariant> longer;
    for (const FusionVariant& variant : out)
      for (const std::string& value : values) {
        FusionVariant next = variant;
        next.settings.emplace_back(name, value);
        next.name += (next.name.empty() ? "" : " ") + name + "=" + value;
        longer.push_back(std::move(next));
      }
    out = std::move(longer);
  }
  if (axes.empty()) out.front().name = "as specified";
  return out;
}

std::vector<double> missing_rates(const std::string& text) {
  std::vector<double> numbers;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t colon = std::min(text.find(':', begin), text.size());
    double number = 0;
    const char* end = text.data() + colon;
    const auto [stop, problem] = std::from_chars(text.data() + begin, end, number);
    if (problem != std::errc() || stop != end)
      user_error("missing must be RATE, FIRST:LAST or FIRST:LAST:STEP, not '{}'", text);
    numbers.push_back(number);
    begin = colon + 1;
  }
  if (numbers.size() > 3) user_error("missing must be RATE, FIRST:LAST or FIRST:LAST:STEP, not '{}'", text);
  const double first = numbers.front(), last = numbers.size() > 1 ? numbers[1] : first;
  const double step = numbers.size() > 2 ? numbers[2] : 0.2;
  if (!(first >= 0) || !(last < 1) || last < first || !(step > 0) || (last - first) / step > 100)
    user_error("missing must go up within [0, 1) in at most 100 steps, not '{}'", text);
  std::vector<double> out;
  for (int i = 0; first + i * step <= last + 1e-9; ++i) out.push_back(std::round((first + i * step) * 1e9) / 1e9);
  return out;
}

Json fusion_run_json(const FusionSweepRun& run) {
  Json rates = Json::array();
  for (const auto& [missing, scores] : run.rates) {
    Json entry = {{"missing", missing}};
    for (const auto& [name, value] : scores) entry[name] = json_number(value, name);
    rates.push_back(std::move(entry));
  }
  return {{"variant", run.variant},
          {"split", run.split},
          {"test_share", run.test_share},
          {"parameters", run.parameters},
          {"epochs", run.epochs},
          {"seconds", run.seconds},
          {"rates", rates}};
}

FusionSweepRun fusion_run_from_json(const Json& json, const std::string& source) {
  JsonObject object(json, source);
  FusionSweepRun out;
  out.variant = object.text("variant");
  out.split = object.integer("split", 0, 1'000'000);
  out.test_share = object.number("test_share");
  out.parameters = object.integer("parameters", 0, std::int64_t{1} << 50);
  out.epochs = object.integer("epochs", 0, 1'000'000'000);
  out.seconds = object.number("seconds");
  const Json& rates = object.at("rates");
  if (!rates.is_array()) user_error("{}: rates: must be a list", source);
  for (const Json& entry : rates) {
    if (!entry.is_object()) user_error("{}: rates: must be a list of scores by name", source);
    NamedScores scores;
    double missing = 0;
    for (const auto& [name, value] : entry.items()) {
      if (!value.is_number()) user_error("{}: rates: {} is not a number", source, name);
      if (name == "missing")
        missing = value.get<double>();
      else
        scores.emplace_back(name, value.get<double>());
    }
    out.rates.emplace_back(missing, std::move(scores));
  }
  object.finish();
  return out;
}

const FusionSweepCell* FusionSweepRow::find(std::string_view score, double missing) const {
  for (const FusionSweepCell& cell : cells)
    if (cell.score == score && cell.missing == missing) return &cell;
  return nullptr;
}

std::vector<FusionSweepRow> fusion_sweep_table(const std::vector<FusionSweepRun>& runs,
                                               const std::vector<FusionVariant>& variants) {
  const auto runs_of = [&](const std::string& variant) {
    std::vector<const FusionSweepRun*> out;
    for (const FusionSweepRun& run : runs)
      if (run.variant == variant) out.push_back(&run);
    // Runs stand in the order in which they ended: sums must not depend on it.
    std::stable_sort(out.begin(), out.end(), [](const auto* a, const auto* b) { return a->split < b->split; });
    return out;
  };
  std::vector<FusionSweepRow> rows;
  const std::vector<const FusionSweepRun*> first =
      variants.empty() ? std::vector<const FusionSweepRun*>{} : runs_of(variants.front().name);
  for (const FusionVariant& variant : variants) {
    const auto own = runs_of(variant.name);
    if (own.empty()) continue;
    FusionSweepRow row;
    row.variant = variant.name;
    for (const FusionSweepRun* run : own) {
      const double share = 1 / static_cast<double>(own.size());
      row.parameters += share * static_cast<double>(run->parameters);
      row.epochs += share * static_cast<double>(run->epochs);
      row.seconds += share * run->seconds;
    }
    // A score may be undefined on some splits only.
    std::vector<std::pair<double, std::vector<std::string>>> known;
    for (const FusionSweepRun* run : own)
      for (const auto& [missing, scores] : run->rates) {
        auto at =
            std::find_if(known.begin(), known.end(), [&, rate = missing](const auto& k) { return k.first == rate; });
        if (at == known.end()) at = known.insert(known.end(), {missing, {}});
        for (const auto& entry : scores)
          if (std::find(at->second.begin(), at->second.end(), entry.first) == at->second.end())
            at->second.push_back(entry.first);
      }
    for (const auto& [rate, names] : known)
      for (const std::string& name : names) row.cells.push_back(cell_of(own, first, rate, name));
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string fusion_sweep_text(const std::vector<FusionSweepRow>& rows, fusion::TargetKind kind) {
  if (rows.empty()) return "no runs\n";
  const auto cells = table_cells(rows, kind);
  std::vector<std::size_t> width(cells.front().size());
  const auto letters = [](const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  };
  for (const auto& line : cells)
    for (std::size_t i = 0; i < line.size(); ++i) width[i] = std::max(width[i], letters(line[i]));
  std::string out;
  for (const auto& line : cells) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      const std::string gap(width[i] - letters(line[i]), ' ');
      out += (i == 0 ? line[i] + gap : "  " + gap + line[i]);
    }
    out += "\n";
  }
  return out +
         "mean ± standard deviation over re-splits; differences paired by split, 95 % intervals for overlapping test "
         "sets;\n~: within the noise\n";
}

std::string fusion_sweep_markdown(const std::vector<FusionSweepRow>& rows, fusion::TargetKind kind) {
  if (rows.empty()) return "";
  std::string out;
  const auto cells = table_cells(rows, kind);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    out += fmt::format("| {} |\n", fmt::join(cells[i], " | "));
    if (i == 0) {
      for (std::size_t j = 0; j < cells[i].size(); ++j) out += "|---";
      out += "|\n";
    }
  }
  return out;
}

Json fusion_sweep_json(const std::vector<FusionSweepRow>& rows) {
  Json out = Json::array();
  for (const FusionSweepRow& row : rows) {
    Json cells = Json::array();
    for (const FusionSweepCell& cell : row.cells) {
      Json entry = {{"score", cell.score}, {"missing", cell.missing},     {"runs", cell.runs},
                    {"mean", cell.mean},   {"deviation", cell.deviation}, {"pairs", cell.pairs}};
      if (cell.pairs >= 2)
        entry.update(Json{{"difference", cell.difference},
                          {"low", cell.low},
                          {"high", cell.high},
                          {"within_noise", cell.within_noise}});
      cells.push_back(std::move(entry));
    }
    out.push_back({{"variant", row.variant},
                   {"parameters", row.parameters},
                   {"epochs", row.epochs},
                   {"seconds", row.seconds},
                   {"cells", cells}});
  }
  return out;
}

}  // namespace clearway::train
