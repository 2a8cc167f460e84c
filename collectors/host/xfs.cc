// SPDX-License-Identifier: Apache-2.0
#include "collectors/host/attributes.h"
#include "collectors/host/collectors.h"
#include "collectors/host/file.h"

namespace picket::collectors::host {
namespace {

/// A line of the statistics by its first word, and its columns; an empty name is not told.
struct Section {
  std::string_view word;
  std::vector<Family> columns;
};
Family Of(const char* name, const char* help) {
  return Count(*name != '\0' ? "node_xfs_" + std::string(name) + "_total" : "", help, {"device"});
}

const Section kSections[] = {
    {"extent_alloc",
     {Of("extent_allocation_extents_allocated", "Number of extents allocated for a filesystem."),
      Of("extent_allocation_blocks_allocated", "Number of blocks allocated for a filesystem."),
      Of("extent_allocation_extents_freed", "Number of extents freed for a filesystem."),
      Of("extent_allocation_blocks_freed", "Number of blocks freed for a filesystem.")}},
    {"abt",
     {Of("allocation_btree_lookups", "Number of allocation B-tree lookups for a filesystem."),
      Of("allocation_btree_compares", "Number of allocation B-tree compares for a filesystem."),
      Of("allocation_btree_records_inserted",
         "Number of allocation B-tree records inserted for a filesystem."),
      Of("allocation_btree_records_deleted",
         "Number of allocation B-tree records deleted for a filesystem.")}},
    {"blk_map",
     {Of("block_mapping_reads", "Number of block map for read operations for a filesystem."),
      Of("block_mapping_writes", "Number of block map for write operations for a filesystem."),
      Of("block_mapping_unmaps", "Number of block unmaps (deletes) for a filesystem."),
      Of("block_mapping_extent_list_insertions",
         "Number of extent list insertions for a filesystem."),
      Of("block_mapping_extent_list_deletions",
         "Number of extent list deletions for a filesystem."),
      Of("block_mapping_extent_list_lookups", "Number of extent list lookups for a filesystem."),
      Of("block_mapping_extent_list_compares",
         "Number of extent list compares for a filesystem.")}},
    {"bmbt",
     {Of("block_map_btree_lookups", "Number of block map B-tree lookups for a filesystem."),
      Of("block_map_btree_compares", "Number of block map B-tree compares for a filesystem."),
      Of("block_map_btree_records_inserted",
         "Number of block map B-tree records inserted for a filesystem."),
      Of("block_map_btree_records_deleted",
         "Number of block map B-tree records deleted for a filesystem.")}},
    {"dir",
     {Of("directory_operation_lookup",
         "Number of file name directory lookups which miss the operating systems directory name "
         "lookup cache."),
      Of("directory_operation_create",
         "Number of times a new directory entry was created for a filesystem."),
      Of("directory_operation_remove",
         "Number of times an existing directory entry was created for a filesystem."),
      Of("directory_operation_getdents",
         "Number of times the directory getdents operation was performed for a filesystem.")}},
    {"ig",
     {Of("inode_operation_attempts",
         "Number of times the OS looked for an XFS inode in the inode cache."),
      Of("inode_operation_found",
         "Number of times the OS looked for and found an XFS inode in the inode cache."),
      Of("inode_operation_recycled",
         "Number of times the OS found an XFS inode in the cache, but could not use it as it was "
         "being recycled."),
      Of("inode_operation_missed",
         "Number of times the OS looked for an XFS inode in the cache, but did not find it."),
      Of("inode_operation_duplicates",
         "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it "
         "had already been added by another process."),
      Of("inode_operation_reclaims",
         "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for "
         "another purpose."),
      Of("inode_operation_attribute_changes",
         "Number of times the OS explicitly changed the attributes of an XFS inode.")}},
    {"rw",
     {Of("write_calls", "Number of write(2) system calls made to files in a filesystem."),
      Of("read_calls", "Number of read(2) system calls made to files in a filesystem.")}},
    {"vnodes",
     {Of("vnode_active", "Number of vnodes not on free lists for a filesystem."),
      Of("vnode_allocate", "Number of times vn_alloc called for a filesystem."),
      Of("vnode_get", "Number of times vn_get called for a filesystem."),
      Of("vnode_hold", "Number of times vn_hold called for a filesystem."),
      Of("vnode_release", "Number of times vn_rele called for a filesystem."),
      Of("vnode_reclaim", "Number of times vn_reclaim called for a filesystem."),
      Of("vnode_remove", "Number of times vn_remove called for a filesystem.")}},
};

class Xfs final : public Part {
 public:
  explicit Xfs(const HostConfig& config) : root_(config.sysfs + "/fs/xfs") {}
  std::string_view name() const override { return "xfs"; }

  Status Tell(Row& row) override {
    files_.NextTurn();
    for (const std::string& device : NamesIn(root_)) {
      if (device == "stats") continue;  // of all together
      const auto text = files_.Read(root_ + "/" + device + "/stats/stats");
      if (!text) continue;
      Lines lines(*text);
      for (std::string_view line; lines.Next(line);) {
        const std::string_view word = TakeWord(line);
        for (const Section& section : kSections) {
          if (section.word != word) continue;
          for (const Family& family : section.columns)
            row.Tell(family, {device}, ToDouble(TakeWord(line)));
        }
      }
    }
    return {};
  }

 private:
  const std::string root_;
  Attributes files_;
};

}  // namespace

std::unique_ptr<Part> MakeXfs(const HostConfig& c) { return std::make_unique<Xfs>(c); }

}  // namespace picket::collectors::host
