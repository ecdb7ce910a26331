#include "clearway/io/table_json.hpp"

namespace clearway {

Json table_to_json(const Table& table) {
  Json object = Json::object();
  for (const Column& column : table.columns) {
    Json values = Json::array();
    for (std::size_t t = 0; t < table.rows; ++t) {
      if (!column.is_text)
        values.push_back(json_number_or_null(column.numbers[t]));
      else if (column.codes[t] < 0)
        values.push_back(nullptr);
      else
        values.push_back(column.levels[static_cast<std::size_t>(column.codes[t])]);
    }
    object[column.name] = std::move(values);
  }
  return object;
}

}  // namespace clearway
