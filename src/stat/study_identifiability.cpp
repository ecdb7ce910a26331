#include "clearway/stat/study_identifiability.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "clearway/base/parallel.hpp"
#include "clearway/base/random.hpp"
#include "clearway/base/text.hpp"
#include "dependence.hpp"
#include "expression.hpp"
#include "hyper_dual.hpp"

namespace clearway {

namespace {

using detail::Dependence;
using detail::Expression;
using detail::Long;
using detail::LongColumns;
using Dual = detail::HyperDual<Long>;

// 50 digits: a dependence leaves some 1e-48, and nothing independent that was tried comes below 1e-25 (the table in
// docs/identifiability.md shows the gap).
constexpr double kDependent = 1e-36;
constexpr double kIndependent = 1e-30;
const char* const kSame = "1e-40";  // relative difference of two columns that are one function

/// A function of x: its name and, once evaluated, its values.
struct Function {
  std::string name;
  std::vector<Long> values;
};

using Atom = std::vector<double>;

std::string input_name(int v, int inputs) {
  return inputs == 1 ? "x" : fmt::format("x{}", v + 1);
}

// h, dh, d2h of one atom at all inputs.
struct Derivatives {
  std::vector<Long> value;
  LongColumns first;
  std::vector<LongColumns> second;  // [u][v - u]
};

Derivatives differentiate(const Expression& h, const Atom& atom, const std::vector<std::vector<double>>& points) {
  const std::size_t p = atom.size(), n = points.size();
  Derivatives d{.value = std::vector<Long>(n), .first = LongColumns(p, std::vector<Long>(n)), .second = {}};
  for (std::size_t u = 0; u < p; ++u) d.second.emplace_back(p - u, std::vector<Long>(n));
  std::vector<Dual> inputs, parameters(p);
  for (std::size_t i = 0; i < n; ++i) {
    inputs.clear();
    for (const double x : points[i]) inputs.emplace_back(x);
    for (std::size_t u = 0; u < p; ++u)
      for (std::size_t v = u; v < p; ++v) {
        for (std::size_t t = 0; t < p; ++t)
          parameters[t] = Dual(Long(atom[t]), Long(t == u ? 1 : 0), Long(t == v ? 1 : 0), Long(0));
        const Dual y = h.evaluate<Dual>(inputs, parameters);
        if (!(isfinite(y.value) && isfinite(y.u) && isfinite(y.uv)))
          user_error("expression '{}' is not finite at {} = {:.4g}, {} = {:.4g}", h.text(),
                     input_name(0, static_cast<int>(points[i].size())), points[i].front(), h.parameters().front(),
                     atom.front());
        d.value[i] = y.value;
        d.first[u][i] = y.u;
        d.second[u][v - u][i] = y.uv;
      }
  }
  return d;
}

std::vector<Long> times(const std::vector<Long>& column, const std::vector<std::vector<double>>& points, int v) {
  std::vector<Long> product = column;
  for (std::size_t i = 0; i < product.size(); ++i) product[i] *= points[i][static_cast<std::size_t>(v)];
  return product;
}

// The functions that a definition names, for one atom. Simple ones come first, so that relations are told in them.
std::vector<Function> functions_of(const Expression& h, IdentifiabilityForm form, const Atom& atom,
                                   const std::vector<std::vector<double>>& points) {
  const Derivatives d = differentiate(h, atom, points);
  const auto inputs = static_cast<int>(points.front().size());
  const auto& names = h.parameters();
  std::vector<Function> functions;
  const std::size_t p = atom.size();
  const auto first_name = [&](std::size_t u) { return "dh/d" + names[u]; };
  for (std::size_t u = 0; u < p; ++u) functions.push_back({first_name(u), d.first[u]});
  if (form == IdentifiabilityForm::weak) return functions;
  if (form == IdentifiabilityForm::lse) functions.push_back({"h", d.value});
  for (std::size_t u = 0; u < p; ++u)
    for (std::size_t v = u; v < p; ++v)
      functions.push_back(
          {u == v ? fmt::format("d2h/d{}^2", names[u]) : fmt::format("d2h/(d{} d{})", names[u], names[v]),
           d.second[u][v - u]});
  for (int v = 0; v < inputs; ++v) {
    const std::string x = input_name(v, inputs) + " * ";
    if (form == IdentifiabilityForm::lse) functions.push_back({x + "h", times(d.value, points, v)});
    for (std::size_t u = 0; u < p; ++u) functions.push_back({x + first_name(u), times(d.first[u], points, v)});
    for (int w = v; form == IdentifiabilityForm::lse && w < inputs; ++w)
      functions.push_back({(v == w ? input_name(v, inputs) + "^2 * " : x + input_name(w, inputs) + " * ") + "h",
                           times(times(d.value, points, v), points, w)});
  }
  return functions;
}

Long length(const std::vector<Long>& a) {
  Long sum = 0;
  for (const Long& value : a) sum += value * value;
  return sqrt(sum);
}

bool same(const std::vector<Long>& a, const std::vector<Long>& b) {
  std::vector<Long> difference = a;
  for (std::size_t i = 0; i < a.size(); ++i) difference[i] -= b[i];
  const Long size = length(a);
  return size > 0 && length(difference) <= Long(kSame) * size;
}

// A coefficient as a product of a small fraction and parameters: "a", "2 * b", "-1/2", "a/b"; else five digits.
std::string coefficient_text(const Long& coefficient, const Atom& atom, const std::vector<std::string>& names) {
  struct Factor {  // over / under
    std::string over, under;
    Long value;
  };
  std::vector<Factor> factors{{"", "", Long(1)}};
  for (std::size_t i = 0; i < atom.size(); ++i) factors.push_back({names[i], "", Long(atom[i])});
  for (std::size_t i = 0; i < atom.size(); ++i) {
    const Long own = atom[i];
    const std::string square = names[i] + "^2";
    factors.push_back({"", names[i], 1 / own});
    factors.push_back({square, "", own * own});
    factors.push_back({"", square, 1 / (own * own)});
    for (std::size_t j = 0; j < atom.size(); ++j) {
      const Long other = atom[j];
      if (i < j) factors.push_back({names[i] + " * " + names[j], "", own * other});
      if (i == j) continue;
      factors.push_back({names[i], names[j], own / other});
      factors.push_back({square, names[j], own * own / other});
      factors.push_back({names[i], names[j] + "^2", own / (other * other)});
      factors.push_back({square, names[j] + "^2", own * own / (other * other)});
    }
  }
  const Long precision("1e-15");
  for (const Factor& factor : factors)
    for (int denominator = 1; denominator <= 4; ++denominator)
      for (int numerator = 1; numerator <= 8; ++numerator) {
        const Long ratio = coefficient / factor.value * denominator / numerator;
        if (abs(abs(ratio) - 1) > precision) continue;
        std::string over = factor.over, under = factor.under;
        if (numerator > 1 || over.empty()) over = fmt::format("{}{}{}", numerator, over.empty() ? "" : " * ", over);
        if (denominator > 1) under = fmt::format("{}{}{}", denominator, under.empty() ? "" : " * ", under);
        const std::string sign = ratio < 0 ? "-" : "";
        if (under.empty()) return sign + over;
        return sign + over + "/" + (under.find(' ') == std::string::npos ? under : "(" + under + ")");
      }
  return fmt::format("{:.5g}", static_cast<double>(coefficient));
}

std::string relation_text(const Dependence& relation, const std::vector<std::string>& names,
                          const std::vector<std::string>& parameters, const Atom* atom) {
  std::string text = names[relation.column] + " =";
  if (relation.earlier.empty()) return text + " 0";
  for (std::size_t i = 0; i < relation.earlier.size(); ++i) {
    std::string factor = atom ? coefficient_text(relation.coefficients[i], *atom, parameters)
                              : fmt::format("{:.5g}", static_cast<double>(relation.coefficients[i]));
    const bool minus = factor.starts_with('-');
    if (minus) factor.erase(0, 1);
    text += i == 0 ? (minus ? " -" : " ") : (minus ? " - " : " + ");
    text += (factor == "1" ? "" : factor + " * ") + names[relation.earlier[i]];
  }
  return text;
}

/// What one set of atoms says.
struct SetResult {
  int functions = 0;
  double smallest = 0, doubled = 0;
  std::vector<std::string> coinciding, combinations;
};

std::vector<std::vector<double>> draw_points(std::size_t count, int inputs, RandomStream& stream) {
  constexpr double kSpread = 1.5;
  std::vector<std::vector<double>> points(count, std::vector<double>(static_cast<std::size_t>(inputs)));
  for (auto& point : points)
    for (double& x : point) x = kSpread * stream.normal();
  return points;
}

// Functions of one or several atoms, those that coincide within an atom counted once.
std::vector<Function> distinct_functions(const Expression& h, IdentifiabilityForm form, const std::vector<Atom>& atoms,
                                         const std::vector<std::vector<double>>& points,
                                         std::vector<std::string>* coinciding) {
  std::vector<Function> all;
  for (std::size_t j = 0; j < atoms.size(); ++j) {
    std::vector<Function> own;
    for (Function& f : functions_of(h, form, atoms[j], points)) {
      const auto twin =
          std::find_if(own.begin(), own.end(), [&](const Function& g) { return same(g.values, f.values); });
      if (twin == own.end())
        own.push_back(std::move(f));
      else if (coinciding && j == 0)
        coinciding->push_back(twin->name + " = " + f.name);
    }
    for (Function& f : own) {
      if (atoms.size() > 1) f.name += fmt::format(" [{}]", j + 1);
      all.push_back(std::move(f));
    }
  }
  return all;
}

LongColumns values_of(const std::vector<Function>& functions) {
  LongColumns columns;
  for (const Function& f : functions) columns.push_back(f.values);
  return columns;
}

// Relations within an atom are told for the first one; relations between atoms only where there is none within.
std::vector<std::string> relations(const Expression& h, IdentifiabilityForm form, const std::vector<Atom>& atoms,
                                   const std::vector<std::vector<double>>& points) {
  const Long tolerance("1e-36");
  const auto tell = [&](const std::vector<Atom>& chosen) {
    const std::vector<Function> functions = distinct_functions(h, form, chosen, points, nullptr);
    std::vector<std::string> names, texts;
    for (const Function& f : functions) names.push_back(f.name);
    for (const Dependence& found : detail::dependences(values_of(functions), tolerance))
      texts.push_back(relation_text(found, names, h.parameters(), chosen.size() == 1 ? chosen.data() : nullptr));
    return texts;
  };
  std::vector<std::string> texts = tell({atoms.front()});
  if (texts.empty() && atoms.size() > 1) texts = tell(atoms);
  return texts;
}

bool ignores_input(const Expression& h, const Atom& atom, const std::vector<std::vector<double>>& points) {
  for (const std::vector<Long>& column : differentiate(h, atom, points).first)
    for (const Long& value : column)
      if (abs(value - column.front()) > Long(kSame) * abs(column.front())) return false;
  return true;
}

SetResult check_set(const Expression& h, IdentifiabilityForm form, const IdentifiabilityOptions& options, int inputs,
                    std::size_t set) {
  RandomStream stream(static_cast<std::uint64_t>(options.seed), set);
  std::vector<Atom> atoms(static_cast<std::size_t>(options.atoms), Atom(h.parameters().size()));
  for (Atom& atom : atoms)
    for (double& value : atom) value = (stream.uniform() < 0.5 ? -1 : 1) * stream.uniform(0.5, 1.5);

  SetResult result;
  // The weak form is about the parameters of one expert: the gates keep different experts apart.
  std::vector<std::vector<Atom>> groups{atoms};
  if (form == IdentifiabilityForm::weak) {
    groups.clear();
    for (const Atom& atom : atoms) groups.push_back({atom});
  }
  result.smallest = result.doubled = std::numeric_limits<double>::infinity();
  for (const std::vector<Atom>& group : groups) {
    const std::size_t p = h.parameters().size(), d = static_cast<std::size_t>(inputs);
    const std::size_t most = group.size() * (1 + d + d * (d + 1) / 2 + p * (1 + d) + p * (p + 1) / 2);
    const std::size_t rows = std::max(options.rows > 0 ? static_cast<std::size_t>(options.rows) : 4 * most, most);
    auto points = draw_points(2 * rows, inputs, stream);
    result.doubled =
        std::min(result.doubled,
                 detail::smallest_singular_ratio(values_of(distinct_functions(h, form, group, points, nullptr))));
    points.resize(rows);
    std::vector<std::string> coinciding;
    const std::vector<Function> functions = distinct_functions(h, form, group, points, &coinciding);
    result.functions = static_cast<int>(functions.size());
    result.smallest = std::min(result.smallest, detail::smallest_singular_ratio(values_of(functions)));
    if (result.coinciding.empty()) result.coinciding = coinciding;
    if (result.smallest < kDependent && result.combinations.empty())
      result.combinations = relations(h, form, group, points);
    if (form == IdentifiabilityForm::weak && ignores_input(h, group.front(), points)) {
      result.smallest = result.doubled = 0;
      result.combinations = {"the derivatives do not depend on x: the expert ignores its input"};
    }
  }
  return result;
}

// What the papers say, for the functions they name.
std::string papers_say(const std::string& expert, IdentifiabilityForm form) {
  const bool strong = form != IdentifiabilityForm::weak;
  if (expert == "sigmoid" || expert == "tanh" || expert == "gelu" || expert == "relu") return "yes";
  if (expert == "linear" || expert == "polynomial") return strong ? "no" : "yes";
  if (expert == "constant") return "no";
  return "";
}

std::string note_on(const std::string& expert, IdentifiabilityForm form) {
  if (form == IdentifiabilityForm::weak) return "";
  if (expert == "relu" || expert == "leaky-relu")
    return "differentiable except at the kink; taken where they exist, the second derivatives are 0. The papers list "
           "ReLU "
           "as identifiable: the kink moves with the parameters, which derivatives at single inputs do not see.";
  if (expert == "network")
    return "parameters of a linear output layer have second derivative 0, which the definition as written forbids; the "
           "papers' networks are single units g(a'x + b).";
  return "";
}

std::vector<IdentifiabilityForm> forms_of(const IdentifiabilityOptions& options) {
  std::vector<IdentifiabilityForm> forms;
  for (const std::string& name : options.form) forms.push_back(enum_value<IdentifiabilityForm>("form", name));
  if (!forms.empty()) return forms;
  forms = {IdentifiabilityForm::lse, IdentifiabilityForm::mle};
  if (options.gate == IdentifiabilityGate::sigmoid) forms.push_back(IdentifiabilityForm::weak);
  return forms;
}

}  // namespace

std::vector<std::string> identifiability_experts() {
  return {"linear", "polynomial", "constant", "sigmoid", "tanh", "gelu", "relu", "leaky-relu", "network"};
}

std::string identifiability_formula(const std::string& expert, int inputs) {
  std::string predictor = "a*x + b";
  if (inputs > 1) {
    predictor.clear();
    for (int v = 1; v <= inputs; ++v) predictor += fmt::format("a{}*x{} + ", v, v);
    predictor += "b";
  }
  if (expert == "linear") return predictor;
  if (expert == "polynomial") return "(" + predictor + ")^2";
  if (expert == "constant") return "c";
  if (expert == "leaky-relu") return fmt::format("0.99*relu({}) + 0.01*({})", predictor, predictor);
  if (expert == "network") return fmt::format("c*tanh({}) + d", predictor);
  const auto experts = identifiability_experts();
  if (std::find(experts.begin(), experts.end(), expert) != experts.end()) return expert + "(" + predictor + ")";
  const std::string near = nearest_name(expert, experts);
  user_error("expert must be one of {}, not '{}'{}", fmt::join(experts, ", "), expert,
             near.empty() ? std::string() : fmt::format(" (did you mean '{}'?)", near));
}

IdentifiabilityStudy run_identifiability_study(const IdentifiabilityOptions& options,
                                               const std::function<void(double, const std::string&)>& progress) {
  check_options(options);
  IdentifiabilityStudy study{.options = options, .rows = {}};
  const std::vector<IdentifiabilityForm> forms = forms_of(options);
  std::vector<std::pair<std::string, std::string>> functions;
  if (!options.expression.empty()) {
    functions.emplace_back("expression", options.expression);
  } else {
    for (const std::string& expert : options.expert)
      functions.emplace_back(expert, identifiability_formula(expert, options.inputs));
  }
  if (functions.empty()) user_error("name at least one expert, or an expression");
  constexpr std::size_t kMostParameters = 12;
  for (const auto& [name, formula] : functions) {
    const Expression h(formula);
    if (h.parameters().empty()) user_error("expression '{}' has no parameters: only x, x1, ... are inputs", formula);
    if (h.parameters().size() > kMostParameters)
      user_error("expression '{}' has {} parameters; at most {} can be checked", formula, h.parameters().size(),
                 kMostParameters);
    const int inputs = options.expression.empty() ? options.inputs : std::max(1, h.inputs());
    for (const IdentifiabilityForm form : forms) {
      if (progress)
        progress(static_cast<double>(study.rows.size()) / static_cast<double>(functions.size() * forms.size()),
                 fmt::format("{} {}", name, enum_name(form)));
      std::vector<SetResult> sets(static_cast<std::size_t>(options.sets));
      parallel_for(sets.size(), options.threads,
                   [&](std::size_t set) { sets[set] = check_set(h, form, options, inputs, set); });
      IdentifiabilityRow row{.expert = name, .formula = formula, .form = form};
      row.functions = sets.front().functions;
      row.smallest = row.smallest_doubled = std::numeric_limits<double>::infinity();
      int dependent = 0, independent = 0;
      for (const SetResult& set : sets) {
        row.smallest = std::min(row.smallest, set.smallest);
        row.smallest_doubled = std::min(row.smallest_doubled, set.doubled);
        const double low = std::min(set.smallest, set.doubled), high = std::max(set.smallest, set.doubled);
        dependent += high < kDependent ? 1 : 0;
        independent += low > kIndependent ? 1 : 0;
      }
      if (dependent == options.sets) row.verdict = IdentifiabilityVerdict::dependent;
      if (independent == options.sets) row.verdict = IdentifiabilityVerdict::independent;
      row.coinciding = sets.front().coinciding;
      row.combinations = sets.front().combinations;
      row.papers = papers_say(name, form);
      row.note = note_on(name, form);
      study.rows.push_back(std::move(row));
    }
  }
  return study;
}

}  // namespace clearway
