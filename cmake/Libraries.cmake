# Libraries that are opened at run time: their headers, and the names they have on this machine.
# A soname differs between distributions (libgit2.so.1.5, libgit2.so.1.7), so it is read from the
# library that pkg-config finds: its headers and that library belong together.
function(library_soname name out)
    list(GET ${name}_LIBRARIES 0 stem)
    find_library(LIBRARY_FILE_${name} "${stem}" HINTS ${${name}_LIBRARY_DIRS} REQUIRED)
    mark_as_advanced(LIBRARY_FILE_${name})
    execute_process(COMMAND "${CMAKE_READELF}" -d "${LIBRARY_FILE_${name}}"
        OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
    if(NOT dynamic MATCHES "\\(SONAME\\)[^[]*\\[([^]]+)\\]")
        message(FATAL_ERROR "${LIBRARY_FILE_${name}} has no soname: it cannot be loaded at run time")
    endif()
    set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

# Debian's name for the package with that soname (Debian Policy 8.1): libarchive13, libsqlite3-0.
function(library_package soname out)
    if(NOT soname MATCHES "^(.+)\\.so\\.(.+)$")
        message(FATAL_ERROR "'${soname}' is no soname with a version")
    endif()
    set(version "${CMAKE_MATCH_2}")
    string(REGEX REPLACE "([0-9])$" "\\1-" stem "${CMAKE_MATCH_1}")
    set(${out} "${stem}${version}" PARENT_SCOPE)
endfunction()

# Headers of the libraries `...` for a layer, and <NAME>_SONAME, <NAME>_PACKAGE for its sources.
function(library_headers target)
    foreach(library ${ARGN})
        string(REPLACE "PkgConfig::" "" name "${library}")
        library_soname(${name} soname)
        library_package("${soname}" package)
        target_include_directories(${target} SYSTEM PUBLIC
            "$<TARGET_PROPERTY:${library},INTERFACE_INCLUDE_DIRECTORIES>")
        target_compile_options(${target} PUBLIC
            "$<TARGET_PROPERTY:${library},INTERFACE_COMPILE_OPTIONS>")
        target_compile_definitions(${target} PRIVATE
            "${name}_SONAME=\"${soname}\"" "${name}_PACKAGE=\"${package}\"")
        message(STATUS "Loaded when needed: ${soname} (Debian package ${package})")
    endforeach()
endfunction()
