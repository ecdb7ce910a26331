// A first declaration of a data set from the files of a folder: guesses, each with a note that says so.
//
// Looked at are the folder and the folders in it: tables (csv, txt, tsv, psv) of one row per sample, of one row per sample
// and time, of one observation per row, or a folder with one such table per sample; and NumPy arrays. Read are the first
// rows and files only, so that a value of a rare kind may be missed.
#pragma once

#include <string>

#include "clearway/io/json.hpp"

namespace clearway::fusion {

/// The text of a spec that lies in `folder` and reads back. Throws std::invalid_argument saying what is missing when no
/// table with samples and nothing that could be an outcome is found.
Json draft_spec(const std::string& folder);

}  // namespace clearway::fusion
