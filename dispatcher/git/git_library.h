// libgit2, loaded when a command first looks at a repository (docs/decisions/0013). Sources include
// this instead of its headers, and call its functions by their own names.
#pragma once

#include <git2.h>
#include <git2/sys/repository.h>
#include <git2/sys/stream.h>

#include "dispatcher/error.h"

#define GIT_FUNCTIONS                                                                              \
    GIT_FUNCTION(git_blob_rawcontent)                                                              \
    GIT_FUNCTION(git_blob_rawsize)                                                                 \
    GIT_FUNCTION(git_commit_author)                                                                \
    GIT_FUNCTION(git_commit_free)                                                                  \
    GIT_FUNCTION(git_commit_lookup)                                                                \
    GIT_FUNCTION(git_commit_parent_id)                                                             \
    GIT_FUNCTION(git_commit_parentcount)                                                           \
    GIT_FUNCTION(git_commit_summary)                                                               \
    GIT_FUNCTION(git_commit_time)                                                                  \
    GIT_FUNCTION(git_config_free)                                                                  \
    GIT_FUNCTION(git_config_get_multivar_foreach)                                                  \
    GIT_FUNCTION(git_config_get_string)                                                            \
    GIT_FUNCTION(git_config_new)                                                                   \
    GIT_FUNCTION(git_config_open_ondisk)                                                           \
    GIT_FUNCTION(git_config_snapshot)                                                              \
    GIT_FUNCTION(git_credential_userpass_plaintext_new)                                            \
    GIT_FUNCTION(git_error_clear)                                                                  \
    GIT_FUNCTION(git_error_last)                                                                   \
    GIT_FUNCTION(git_error_set_str)                                                                \
    GIT_FUNCTION(git_fetch_options_init)                                                           \
    GIT_FUNCTION(git_graph_descendant_of)                                                          \
    GIT_FUNCTION(git_index_free)                                                                   \
    GIT_FUNCTION(git_index_get_bypath)                                                             \
    GIT_FUNCTION(git_libgit2_init)                                                                 \
    GIT_FUNCTION(git_libgit2_opts)                                                                 \
    GIT_FUNCTION(git_object_dup)                                                                   \
    GIT_FUNCTION(git_object_free)                                                                  \
    GIT_FUNCTION(git_object_id)                                                                    \
    GIT_FUNCTION(git_object_lookup)                                                                \
    GIT_FUNCTION(git_object_lookup_prefix)                                                         \
    GIT_FUNCTION(git_object_peel)                                                                  \
    GIT_FUNCTION(git_odb_free)                                                                     \
    GIT_FUNCTION(git_odb_read_header)                                                              \
    GIT_FUNCTION(git_oid_equal)                                                                    \
    GIT_FUNCTION(git_oid_fromstr)                                                                  \
    GIT_FUNCTION(git_oid_fromstrn)                                                                 \
    GIT_FUNCTION(git_oid_tostr)                                                                    \
    GIT_FUNCTION(git_reference_create)                                                             \
    GIT_FUNCTION(git_reference_free)                                                               \
    GIT_FUNCTION(git_reference_is_branch)                                                          \
    GIT_FUNCTION(git_reference_lookup)                                                             \
    GIT_FUNCTION(git_reference_name_is_valid)                                                      \
    GIT_FUNCTION(git_reference_peel)                                                               \
    GIT_FUNCTION(git_reference_shorthand)                                                          \
    GIT_FUNCTION(git_remote_connect_ext)                                                           \
    GIT_FUNCTION(git_remote_connect_options_init)                                                  \
    GIT_FUNCTION(git_remote_create_anonymous)                                                      \
    GIT_FUNCTION(git_remote_download)                                                              \
    GIT_FUNCTION(git_remote_free)                                                                  \
    GIT_FUNCTION(git_remote_ls)                                                                    \
    GIT_FUNCTION(git_repository_config)                                                            \
    GIT_FUNCTION(git_repository_free)                                                              \
    GIT_FUNCTION(git_repository_head)                                                              \
    GIT_FUNCTION(git_repository_index)                                                             \
    GIT_FUNCTION(git_repository_init)                                                              \
    GIT_FUNCTION(git_repository_is_shallow)                                                        \
    GIT_FUNCTION(git_repository_odb)                                                               \
    GIT_FUNCTION(git_repository_open_bare)                                                         \
    GIT_FUNCTION(git_repository_open_ext)                                                          \
    GIT_FUNCTION(git_repository_path)                                                              \
    GIT_FUNCTION(git_repository_set_config)                                                        \
    GIT_FUNCTION(git_repository_workdir)                                                           \
    GIT_FUNCTION(git_revwalk_free)                                                                 \
    GIT_FUNCTION(git_revwalk_hide)                                                                 \
    GIT_FUNCTION(git_revwalk_new)                                                                  \
    GIT_FUNCTION(git_revwalk_next)                                                                 \
    GIT_FUNCTION(git_revwalk_push)                                                                 \
    GIT_FUNCTION(git_revwalk_sorting)                                                              \
    GIT_FUNCTION(git_status_byindex)                                                               \
    GIT_FUNCTION(git_status_list_entrycount)                                                       \
    GIT_FUNCTION(git_status_list_free)                                                             \
    GIT_FUNCTION(git_status_list_new)                                                              \
    GIT_FUNCTION(git_status_options_init)                                                          \
    GIT_FUNCTION(git_stream_register)                                                              \
    GIT_FUNCTION(git_tag_foreach)                                                                  \
    GIT_FUNCTION(git_tree_entry_byindex)                                                           \
    GIT_FUNCTION(git_tree_entry_bypath)                                                            \
    GIT_FUNCTION(git_tree_entry_filemode)                                                          \
    GIT_FUNCTION(git_tree_entry_free)                                                              \
    GIT_FUNCTION(git_tree_entry_id)                                                                \
    GIT_FUNCTION(git_tree_entry_name)                                                              \
    GIT_FUNCTION(git_tree_entry_to_object)                                                         \
    GIT_FUNCTION(git_tree_entrycount)

struct git_library {
#define GIT_FUNCTION(name) __typeof__(&(name)) name;
    GIT_FUNCTIONS
#undef GIT_FUNCTION
};

// Written once, by git_library_load, and then only read: libgit2 has one state for the process, so
// handing the table from call to call would only hide that.
extern struct git_library git_library;

/// ERROR_INPUT with the package to install when it is not there. Thread-safe.
NODISCARD struct error *git_library_load(void);

// Function-like, so that the names above are still names. One that is missing here does not link,
// one that is missing above does not compile.
#define git_blob_rawcontent(...) git_library.git_blob_rawcontent(__VA_ARGS__)
#define git_blob_rawsize(...) git_library.git_blob_rawsize(__VA_ARGS__)
#define git_commit_author(...) git_library.git_commit_author(__VA_ARGS__)
#define git_commit_free(...) git_library.git_commit_free(__VA_ARGS__)
#define git_commit_lookup(...) git_library.git_commit_lookup(__VA_ARGS__)
#define git_commit_parent_id(...) git_library.git_commit_parent_id(__VA_ARGS__)
#define git_commit_parentcount(...) git_library.git_commit_parentcount(__VA_ARGS__)
#define git_commit_summary(...) git_library.git_commit_summary(__VA_ARGS__)
#define git_commit_time(...) git_library.git_commit_time(__VA_ARGS__)
#define git_config_free(...) git_library.git_config_free(__VA_ARGS__)
#define git_config_get_multivar_foreach(...)                                                       \
    git_library.git_config_get_multivar_foreach(__VA_ARGS__)
#define git_config_get_string(...) git_library.git_config_get_string(__VA_ARGS__)
#define git_config_new(...) git_library.git_config_new(__VA_ARGS__)
#define git_config_open_ondisk(...) git_library.git_config_open_ondisk(__VA_ARGS__)
#define git_config_snapshot(...) git_library.git_config_snapshot(__VA_ARGS__)
#define git_credential_userpass_plaintext_new(...)                                                 \
    git_library.git_credential_userpass_plaintext_new(__VA_ARGS__)
#define git_error_clear(...) git_library.git_error_clear(__VA_ARGS__)
#define git_error_last(...) git_library.git_error_last(__VA_ARGS__)
#define git_error_set_str(...) git_library.git_error_set_str(__VA_ARGS__)
#define git_fetch_options_init(...) git_library.git_fetch_options_init(__VA_ARGS__)
#define git_graph_descendant_of(...) git_library.git_graph_descendant_of(__VA_ARGS__)
#define git_index_free(...) git_library.git_index_free(__VA_ARGS__)
#define git_index_get_bypath(...) git_library.git_index_get_bypath(__VA_ARGS__)
#define git_libgit2_init(...) git_library.git_libgit2_init(__VA_ARGS__)
#define git_libgit2_opts(...) git_library.git_libgit2_opts(__VA_ARGS__)
#define git_object_dup(...) git_library.git_object_dup(__VA_ARGS__)
#define git_object_free(...) git_library.git_object_free(__VA_ARGS__)
#define git_object_id(...) git_library.git_object_id(__VA_ARGS__)
#define git_object_lookup(...) git_library.git_object_lookup(__VA_ARGS__)
#define git_object_lookup_prefix(...) git_library.git_object_lookup_prefix(__VA_ARGS__)
#define git_object_peel(...) git_library.git_object_peel(__VA_ARGS__)
#define git_odb_free(...) git_library.git_odb_free(__VA_ARGS__)
#define git_odb_read_header(...) git_library.git_odb_read_header(__VA_ARGS__)
#define git_oid_equal(...) git_library.git_oid_equal(__VA_ARGS__)
#define git_oid_fromstr(...) git_library.git_oid_fromstr(__VA_ARGS__)
#define git_oid_fromstrn(...) git_library.git_oid_fromstrn(__VA_ARGS__)
#define git_oid_tostr(...) git_library.git_oid_tostr(__VA_ARGS__)
#define git_reference_create(...) git_library.git_reference_create(__VA_ARGS__)
#define git_reference_free(...) git_library.git_reference_free(__VA_ARGS__)
#define git_reference_is_branch(...) git_library.git_reference_is_branch(__VA_ARGS__)
#define git_reference_lookup(...) git_library.git_reference_lookup(__VA_ARGS__)
#define git_reference_name_is_valid(...) git_library.git_reference_name_is_valid(__VA_ARGS__)
#define git_reference_peel(...) git_library.git_reference_peel(__VA_ARGS__)
#define git_reference_shorthand(...) git_library.git_reference_shorthand(__VA_ARGS__)
#define git_remote_connect_ext(...) git_library.git_remote_connect_ext(__VA_ARGS__)
#define git_remote_connect_options_init(...)                                                       \
    git_library.git_remote_connect_options_init(__VA_ARGS__)
#define git_remote_create_anonymous(...) git_library.git_remote_create_anonymous(__VA_ARGS__)
#define git_remote_download(...) git_library.git_remote_download(__VA_ARGS__)
#define git_remote_free(...) git_library.git_remote_free(__VA_ARGS__)
#define git_remote_ls(...) git_library.git_remote_ls(__VA_ARGS__)
#define git_repository_config(...) git_library.git_repository_config(__VA_ARGS__)
#define git_repository_free(...) git_library.git_repository_free(__VA_ARGS__)
#define git_repository_head(...) git_library.git_repository_head(__VA_ARGS__)
#define git_repository_index(...) git_library.git_repository_index(__VA_ARGS__)
#define git_repository_init(...) git_library.git_repository_init(__VA_ARGS__)
#define git_repository_is_shallow(...) git_library.git_repository_is_shallow(__VA_ARGS__)
#define git_repository_odb(...) git_library.git_repository_odb(__VA_ARGS__)
#define git_repository_open_bare(...) git_library.git_repository_open_bare(__VA_ARGS__)
#define git_repository_open_ext(...) git_library.git_repository_open_ext(__VA_ARGS__)
#define git_repository_path(...) git_library.git_repository_path(__VA_ARGS__)
#define git_repository_set_config(...) git_library.git_repository_set_config(__VA_ARGS__)
#define git_repository_workdir(...) git_library.git_repository_workdir(__VA_ARGS__)
#define git_revwalk_free(...) git_library.git_revwalk_free(__VA_ARGS__)
#define git_revwalk_hide(...) git_library.git_revwalk_hide(__VA_ARGS__)
#define git_revwalk_new(...) git_library.git_revwalk_new(__VA_ARGS__)
#define git_revwalk_next(...) git_library.git_revwalk_next(__VA_ARGS__)
#define git_revwalk_push(...) git_library.git_revwalk_push(__VA_ARGS__)
#define git_revwalk_sorting(...) git_library.git_revwalk_sorting(__VA_ARGS__)
#define git_status_byindex(...) git_library.git_status_byindex(__VA_ARGS__)
#define git_status_list_entrycount(...) git_library.git_status_list_entrycount(__VA_ARGS__)
#define git_status_list_free(...) git_library.git_status_list_free(__VA_ARGS__)
#define git_status_list_new(...) git_library.git_status_list_new(__VA_ARGS__)
#define git_status_options_init(...) git_library.git_status_options_init(__VA_ARGS__)
#define git_stream_register(...) git_library.git_stream_register(__VA_ARGS__)
#define git_tag_foreach(...) git_library.git_tag_foreach(__VA_ARGS__)
#define git_tree_entry_byindex(...) git_library.git_tree_entry_byindex(__VA_ARGS__)
#define git_tree_entry_bypath(...) git_library.git_tree_entry_bypath(__VA_ARGS__)
#define git_tree_entry_filemode(...) git_library.git_tree_entry_filemode(__VA_ARGS__)
#define git_tree_entry_free(...) git_library.git_tree_entry_free(__VA_ARGS__)
#define git_tree_entry_id(...) git_library.git_tree_entry_id(__VA_ARGS__)
#define git_tree_entry_name(...) git_library.git_tree_entry_name(__VA_ARGS__)
#define git_tree_entry_to_object(...) git_library.git_tree_entry_to_object(__VA_ARGS__)
#define git_tree_entrycount(...) git_library.git_tree_entrycount(__VA_ARGS__)
