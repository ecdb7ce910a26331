// Reads the table that ships with Clearway: the file is the first argument.
#include <cstdio>

#include "clearway/io/csv.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const clearway::Table table = clearway::read_csv(argv[1]);
  std::printf("%zu rows, %zu columns, %zu species\n", table.rows, table.columns.size(),
              table.column("species").levels.size());
  return table.rows == 150 && table.columns.size() == 5 && table.column("species").levels.size() == 3 ? 0 : 1;
}
