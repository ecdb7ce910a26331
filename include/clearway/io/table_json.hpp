// Tables as JSON, for programs that read what a command prints.
#pragma once

#include "clearway/base/table.hpp"
#include "clearway/io/json.hpp"

namespace clearway {

/// One object with a list per column: {"mean": [...], "expert": [...]}. A missing cell and a number that is not finite are
/// null.
Json table_to_json(const Table& table);

}  // namespace clearway
