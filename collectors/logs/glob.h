// SPDX-License-Identifier: Apache-2.0
// Which files there are, and which folders to watch for new ones.
#pragma once
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace picket::collectors::logs {

/// Finds the regular files (symbolic links followed) that match `pattern`, which has *, ?, [..]
/// within a name and ** over any number of folders. Adds every folder that was listed, or would
/// have to be, to `folders`. A folder that cannot be read is passed over and named in `errors`.
void ExpandGlob(std::string_view pattern, std::vector<std::string>& files,
                std::set<std::string>& folders, std::vector<std::string>& errors);

/// A pattern with a slash is matched against the whole path, one without against the name.
bool MatchesAny(const std::string& path, const std::vector<std::string>& patterns);

/// Whether `path` is one ExpandGlob could give for `pattern`.
bool GlobMatches(std::string_view pattern, std::string_view path);

}  // namespace picket::collectors::logs
