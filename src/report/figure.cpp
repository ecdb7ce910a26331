#include "clearway/report/figure.hpp"

#include <cmath>

#include "text.hpp"

namespace clearway::report {

namespace {

Json list(const Numbers& values) {
  Json array = Json::array();
  for (const double value : values) array.push_back(json_number_or_null(value));
  return array;
}

Json texts(const std::vector<std::string>& values) {
  Json array = Json::array();
  for (const std::string& value : values) array.push_back(valid_text(value));
  return array;
}

Json to_json(const Axis& axis) {
  Json json = {{"label", valid_text(axis.label)}};
  if (axis.log) json["log"] = true;
  return json;
}

void check(bool holds, const std::string& id, std::string_view what) {
  if (!holds) throw std::logic_error(fmt::format("figure '{}': {}", id, what));
}

Json to_json(const Layer& layer, const std::string& id) {
  const auto fits = [&](std::size_t size) { return size == 0 || size == layer.x.size(); };
  const bool ends = layer.mark == Mark::band || layer.mark == Mark::intervals;
  check(fits(layer.y.size()) && fits(layer.low.size()) && fits(layer.high.size()) && fits(layer.groups.size()) &&
            fits(layer.strength.size()) && fits(layer.text.size()),
        id, fmt::format("layer '{}' has lists of different length", layer.name));
  check(layer.x.empty() || (ends ? !layer.low.empty() && !layer.high.empty() : !layer.y.empty()), id,
        fmt::format("layer '{}' lacks what its mark draws", layer.name));
  Json json = {{"mark", std::string(enum_name(layer.mark))}, {"group", layer.group}, {"x", list(layer.x)}};
  if (!layer.name.empty()) json["name"] = valid_text(layer.name);
  if (!layer.y.empty()) json["y"] = list(layer.y);
  if (!layer.low.empty()) json["low"] = list(layer.low);
  if (!layer.high.empty()) json["high"] = list(layer.high);
  if (!layer.groups.empty()) json["groups"] = layer.groups;
  if (!layer.strength.empty()) json["strength"] = list(layer.strength);
  if (!layer.text.empty()) json["text"] = texts(layer.text);
  if (layer.dashed) json["dashed"] = true;
  if (layer.thin) json["thin"] = true;
  return json;
}

void add(Json& json, const XyFigure& xy, const std::string& id) {
  json["kind"] = "xy";
  json["x"] = to_json(xy.x);
  json["y"] = to_json(xy.y);
  json["panels"] = Json::array();
  for (const Panel& panel : xy.panels) {
    Json layers = Json::array();
    for (const Layer& layer : panel.layers) layers.push_back(to_json(layer, id));
    Json one = {{"title", valid_text(panel.title)}, {"layers", layers}};
    if (!panel.x.empty()) one["x"] = valid_text(panel.x);
    json["panels"].push_back(one);
  }
  if (!xy.rules.empty()) json["rules"] = Json::array();
  for (const Rule& rule : xy.rules)
    json["rules"].push_back(
        {{"x", json_number_or_null(rule.x)}, {"y", json_number_or_null(rule.y)}, {"label", valid_text(rule.label)}});
  if (!xy.group_names.empty()) json["group_names"] = texts(xy.group_names);
  if (xy.diagonal) json["diagonal"] = true;
  if (!xy.shared_y) json["shared_y"] = false;
  if (xy.zoom) json["zoom"] = true;
}

void add(Json& json, const HeatFigure& heat, const std::string& id) {
  check(heat.values.size() == heat.rows.size(), id, "needs one list of numbers per row");
  json["kind"] = "heat";
  json["x"] = to_json(heat.x);
  json["y"] = to_json(heat.y);
  json["rows"] = texts(heat.rows);
  json["columns"] = texts(heat.columns);
  json["values"] = Json::array();
  for (const Numbers& row : heat.values) {
    check(row.size() == heat.columns.size(), id, "needs one number per column");
    json["values"].push_back(list(row));
  }
  json["value"] = valid_text(heat.value);
  json["scale"] = heat.diverging ? "diverging" : "sequential";
  if (!std::isnan(heat.low)) json["low"] = heat.low;
  if (!std::isnan(heat.high)) json["high"] = heat.high;
}

void add(Json& json, const IntervalFigure& figure, const std::string&) {
  json["kind"] = "intervals";
  json["x"] = to_json(figure.x);
  json["items"] = Json::array();
  for (const Interval& item : figure.items) {
    Json one = {{"section", valid_text(item.section)},
                {"label", valid_text(item.label)},
                {"estimate", json_number_or_null(item.estimate)},
                {"low", json_number_or_null(item.low)},
                {"high", json_number_or_null(item.high)},
                {"group", item.group}};
    if (!item.note.empty()) one["note"] = valid_text(item.note);
    json["items"].push_back(one);
  }
  if (!std::isnan(figure.reference)) json["reference"] = figure.reference;
  if (figure.bars) json["bars"] = true;
}

void add(Json& json, const TreeFigure& tree, const std::string& id) {
  json["kind"] = "tree";
  json["x"] = to_json(tree.x);
  json["leaves"] = texts(tree.leaves);
  json["merges"] = Json::array();
  int nodes = static_cast<int>(tree.leaves.size());
  for (const Merge& merge : tree.merges) {
    check(merge.left >= 0 && merge.left < nodes && merge.right >= 0 && merge.right < nodes && merge.left != merge.right,
          id, "merges nodes that are not there");
    ++nodes;
    json["merges"].push_back(
        {{"left", merge.left}, {"right", merge.right}, {"height", json_number(merge.height, "height")}});
  }
  if (!std::isnan(tree.cut)) json["cut"] = tree.cut;
}

/// A number, or NaN for null and for a key that is not there.
double number_at(JsonObject& object, const char* key) {
  if (!object.has(key) || object.at(key).is_null()) return kUnknown;
  return object.number(key);
}

Numbers list_at(JsonObject& object, const char* key) {
  Numbers values;
  if (!object.has(key)) return values;
  const Json& array = object.at(key);
  if (!array.is_array()) user_error("{}: must be a list", object.where(key));
  for (const Json& value : array) {
    if (!value.is_null() && !value.is_number()) user_error("{}: must be numbers or null", object.where(key));
    values.push_back(value.is_null() ? kUnknown : value.get<double>());
  }
  return values;
}

std::string text_at(JsonObject& object, const char* key) {
  return object.has(key) ? object.text(key) : std::string();
}
bool flag_at(JsonObject& object, const char* key, bool otherwise = false) {
  return object.has(key) ? object.boolean(key) : otherwise;
}
int group_at(JsonObject& object) {
  return object.has("group") ? static_cast<int>(object.integer("group", -1, 1000)) : -1;
}

Axis axis_at(JsonObject& object, const char* key) {
  if (!object.has(key)) return {};
  JsonObject axis = object.object(key);
  Axis result{text_at(axis, "label"), flag_at(axis, "log")};
  axis.finish();
  return result;
}

Layer layer_from(JsonObject& object) {
  Layer layer;
  layer.mark = object.choice<Mark>("mark");
  layer.name = text_at(object, "name");
  layer.group = group_at(object);
  layer.x = list_at(object, "x");
  layer.y = list_at(object, "y");
  layer.low = list_at(object, "low");
  layer.high = list_at(object, "high");
  for (const double group : list_at(object, "groups")) layer.groups.push_back(static_cast<int>(group));
  layer.strength = list_at(object, "strength");
  if (object.has("text")) layer.text = object.texts("text");
  layer.dashed = flag_at(object, "dashed");
  layer.thin = flag_at(object, "thin");
  object.finish();
  return layer;
}

XyFigure xy_from(JsonObject& object) {
  XyFigure xy{axis_at(object, "x"), axis_at(object, "y"), {}};
  for (JsonObject& one : object.objects("panels")) {
    Panel panel{text_at(one, "title"), {}, text_at(one, "x")};
    for (JsonObject& layer : one.objects("layers")) panel.layers.push_back(layer_from(layer));
    one.finish();
    xy.panels.push_back(std::move(panel));
  }
  if (object.has("rules"))
    for (JsonObject& rule : object.objects("rules")) {
      xy.rules.push_back({number_at(rule, "x"), number_at(rule, "y"), text_at(rule, "label")});
      rule.finish();
    }
  if (object.has("group_names")) xy.group_names = object.texts("group_names");
  xy.diagonal = flag_at(object, "diagonal");
  xy.shared_y = flag_at(object, "shared_y", true);
  xy.zoom = flag_at(object, "zoom");
  return xy;
}

HeatFigure heat_from(JsonObject& object) {
  HeatFigure heat{axis_at(object, "x"), axis_at(object, "y"), object.texts("rows"), object.texts("columns"), {}};
  const Json& values = object.at("values");
  if (!values.is_array()) user_error("{}: must be a list of lists", object.where("values"));
  for (std::size_t r = 0; r < values.size(); ++r) {
    const Json row = {{"row", values[r]}};
    JsonObject one(row, fmt::format("{}[{}]", object.where("values"), r));
    heat.values.push_back(list_at(one, "row"));
  }
  heat.value = text_at(object, "value");
  if (object.has("scale")) {
    const std::string scale = object.text("scale");
    if (scale != "sequential" && scale != "diverging")
      user_error("{}: must be sequential or diverging, not {}", object.where("scale"), quoted_for_message(scale));
    heat.diverging = scale == "diverging";
  }
  heat.low = number_at(object, "low");
  heat.high = number_at(object, "high");
  return heat;
}

IntervalFigure intervals_from(JsonObject& object) {
  IntervalFigure figure{axis_at(object, "x"), {}};
  for (JsonObject& item : object.objects("items")) {
    figure.items.push_back({text_at(item, "section"), item.text("label"), number_at(item, "estimate"),
                            number_at(item, "low"), number_at(item, "high"), group_at(item), text_at(item, "note")});
    item.finish();
  }
  figure.reference = number_at(object, "reference");
  figure.bars = flag_at(object, "bars");
  return figure;
}

TreeFigure tree_from(JsonObject& object) {
  TreeFigure tree{axis_at(object, "x"), object.texts("leaves"), {}};
  for (JsonObject& merge : object.objects("merges")) {
    tree.merges.push_back({static_cast<int>(merge.integer("left", 0, 100000)),
                           static_cast<int>(merge.integer("right", 0, 100000)), merge.number("height")});
    merge.finish();
  }
  tree.cut = number_at(object, "cut");
  return tree;
}

std::string or_else(const std::string& label, const char* otherwise) {
  return label.empty() ? otherwise : label;
}

struct Rows {
  Table operator()(const XyFigure& xy) const {
    bool panels = false, names = false, ends = false, groups = false, text = false;
    for (const Panel& panel : xy.panels) {
      panels |= !panel.title.empty();
      for (const Layer& layer : panel.layers) {
        names |= !layer.name.empty();
        ends |= !layer.low.empty();
        groups |= !layer.groups.empty();
        text |= !layer.text.empty();
      }
    }
    Table table;
    if (panels) table.columns.emplace_back("panel");
    if (names) table.columns.emplace_back("series");
    if (text) table.columns.emplace_back("point");
    table.columns.push_back(or_else(xy.x.label, "x"));
    table.columns.push_back(or_else(xy.y.label, "y"));
    if (ends) table.columns.insert(table.columns.end(), {"low", "high"});
    if (groups) table.columns.emplace_back("group");
    for (const Panel& panel : xy.panels)
      for (const Layer& layer : panel.layers)
        for (std::size_t i = 0; i < layer.x.size(); ++i) {
          const auto at = [&](const Numbers& values) {
            return values.empty() ? Json(nullptr) : json_number_or_null(values[i]);
          };
          std::vector<Json> row;
          if (panels) row.emplace_back(panel.title);
          if (names) row.emplace_back(layer.name);
          if (text) row.emplace_back(layer.text.empty() ? "" : layer.text[i]);
          row.push_back(at(layer.x));
          row.push_back(at(layer.y));
          if (ends) row.insert(row.end(), {at(layer.low), at(layer.high)});
          if (groups) row.push_back(layer.groups.empty() ? Json(nullptr) : Json(layer.groups[i] + 1));
          table.rows.push_back(std::move(row));
        }
    return table;
  }
  Table operator()(const HeatFigure& heat) const {
    Table table;
    table.columns.push_back(heat.y.label);
    table.columns.insert(table.columns.end(), heat.columns.begin(), heat.columns.end());
    for (std::size_t r = 0; r < heat.rows.size(); ++r) {
      std::vector<Json> row{heat.rows[r]};
      for (const double value : heat.values[r]) row.push_back(json_number_or_null(value));
      table.rows.push_back(std::move(row));
    }
    return table;
  }
  Table operator()(const IntervalFigure& figure) const {
    bool ends = false, sections = false, notes = false;
    for (const Interval& item : figure.items) {
      ends |= !std::isnan(item.low) || !std::isnan(item.high);
      sections |= !item.section.empty();
      notes |= !item.note.empty();
    }
    Table table;
    if (sections) table.columns.emplace_back("");
    table.columns.insert(table.columns.end(), {"", or_else(figure.x.label, "estimate")});
    if (ends) table.columns.insert(table.columns.end(), {"low", "high"});
    if (notes) table.columns.emplace_back("note");
    for (const Interval& item : figure.items) {
      std::vector<Json> row;
      if (sections) row.emplace_back(item.section);
      row.insert(row.end(), {Json(item.label), json_number_or_null(item.estimate)});
      if (ends) row.insert(row.end(), {json_number_or_null(item.low), json_number_or_null(item.high)});
      if (notes) row.emplace_back(item.note);
      table.rows.push_back(std::move(row));
    }
    return table;
  }
  Table operator()(const TreeFigure& tree) const {
    Table table{"", {"merge", "of", "and", or_else(tree.x.label, "height")}, {}};
    std::vector<std::string> names = tree.leaves;
    for (std::size_t s = 0; s < tree.merges.size(); ++s) {
      const Merge& merge = tree.merges[s];
      const std::string left = names[static_cast<std::size_t>(merge.left)];
      const std::string right = names[static_cast<std::size_t>(merge.right)];
      table.rows.push_back({static_cast<int>(s) + 1, left, right, json_number_or_null(merge.height)});
      names.push_back(left + " + " + right);
    }
    return table;
  }
};

}  // namespace

Json to_json(const Figure& figure) {
  Json json = {{"kind", nullptr},
               {"id", valid_text(figure.id)},
               {"title", valid_text(figure.title)},
               {"note", valid_text(figure.note)}};
  std::visit([&](const auto& content) { add(json, content, figure.id); }, figure.content);
  return json;
}

Figure figure_from_json(const Json& json, const std::string& where) {
  JsonObject object(json, where);
  Figure figure{text_at(object, "id"), object.text("title"), text_at(object, "note"), XyFigure{}};
  const std::string kind = object.text("kind");
  if (kind == "xy")
    figure.content = xy_from(object);
  else if (kind == "heat")
    figure.content = heat_from(object);
  else if (kind == "intervals")
    figure.content = intervals_from(object);
  else if (kind == "tree")
    figure.content = tree_from(object);
  else
    user_error("{}: must be xy, heat, intervals or tree, not {}", object.where("kind"), quoted_for_message(kind));
  object.finish();
  try {
    (void)to_json(figure);
  } catch (const std::logic_error& problem) {  // here the lists are a user's
    user_error("{}: {}", where, problem.what());
  }
  return figure;
}

Table numbers_of(const Figure& figure) {
  return std::visit(Rows{}, figure.content);
}

std::size_t number_rows(const Figure& figure) {
  if (const auto* xy = std::get_if<XyFigure>(&figure.content)) {
    std::size_t rows = 0;
    for (const Panel& panel : xy->panels)
      for (const Layer& layer : panel.layers) rows += layer.x.size();
    return rows;
  }
  return numbers_of(figure).rows.size();
}

}  // namespace clearway::report
