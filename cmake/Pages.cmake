# Manual pages (build/man, installed to share/man/man1) and the generated pages of docs/: all made by
# the program itself from the tables of its commands.
set(libraries "libcurl ${CURL_VERSION},OpenSSL ${OPENSSL_VERSION},jansson ${JANSSON_VERSION}"
    "libyaml ${YAML_VERSION},libgit2 ${GIT2_VERSION},SQLite ${SQLITE_VERSION}"
    "libarchive ${ARCHIVE_VERSION},libmicrohttpd ${MHD_VERSION},isa-l ${ISAL_VERSION}")
list(JOIN libraries "," libraries)
set_source_files_properties("${CMAKE_SOURCE_DIR}/dispatcher/cli/command_version.c" PROPERTIES
    COMPILE_DEFINITIONS "DISPATCHER_LIBRARIES=\"${libraries}\"")
set(released 2026-11-21) # the date that the manual pages carry; change it with the version
set_source_files_properties("${CMAKE_SOURCE_DIR}/dispatcher/cli/manual.c" PROPERTIES
    COMPILE_DEFINITIONS "DISPATCHER_RELEASED=\"${released}\"")

add_custom_command(OUTPUT "${CMAKE_BINARY_DIR}/man/dispatcher.1"
    COMMAND "${CMAKE_COMMAND}" -DDISPATCHER=$<TARGET_FILE:dispatcher>
        "-DOUT=${CMAKE_BINARY_DIR}/man" -P "${CMAKE_SOURCE_DIR}/cmake/ManPages.cmake"
    DEPENDS dispatcher "${CMAKE_SOURCE_DIR}/cmake/ManPages.cmake"
    COMMENT "Making the manual pages" VERBATIM)
add_custom_target(man ALL DEPENDS "${CMAKE_BINARY_DIR}/man/dispatcher.1")
install(DIRECTORY "${CMAKE_BINARY_DIR}/man/" DESTINATION share/man/man1 FILES_MATCHING PATTERN "*.1")

add_custom_target(docs
    COMMAND dispatcher help --markdown > "${CMAKE_SOURCE_DIR}/docs/cli-reference.md"
    COMMAND dispatcher help exit-codes --markdown > "${CMAKE_SOURCE_DIR}/docs/errors.md"
    COMMAND dispatcher help reason-codes --markdown > "${CMAKE_SOURCE_DIR}/docs/reason-codes.md"
    COMMAND dispatcher spec schema reference > "${CMAKE_SOURCE_DIR}/docs/spec-reference.md"
    COMMAND "${CMAKE_SOURCE_DIR}/scripts/report-examples" --write
    COMMENT "Writing docs/cli-reference.md, errors.md, reason-codes.md, spec-reference.md and the examples of reports.md"
    VERBATIM)
