# cmake -DIN=<directory> -DOUT=<file.c> -P WebAssets.cmake
# Writes the files of IN as one C source. Their addresses carry the hash of their content, so that
# browsers may keep them for ever.
set(types_css "text/css; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_svg "image/svg+xml")

file(GLOB files "${IN}/*")
list(SORT files)
set(code "// Made by cmake/WebAssets.cmake from dispatcher/web/assets.\n#include \"assets_internal.h\"\n")
set(table "")
set(index 0)
foreach(file IN LISTS files)
    get_filename_component(name "${file}" NAME)
    get_filename_component(stem "${file}" NAME_WLE)
    get_filename_component(end "${file}" LAST_EXT)
    string(SUBSTRING "${end}" 1 -1 end)
    if(NOT DEFINED types_${end})
        message(FATAL_ERROR "${name}: no Content-Type is known for '.${end}' (cmake/WebAssets.cmake)")
    endif()
    file(SHA256 "${file}" hash)
    string(SUBSTRING "${hash}" 0 16 hash)
    file(READ "${file}" hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(................................................................................)"
        "\\1\n" bytes "${bytes}")
    string(APPEND code "\nstatic const unsigned char asset_${index}[] = {\n${bytes}};\n")
    string(APPEND table "    {\"${name}\", \"/assets/${stem}.${hash}.${end}\", \"${types_${end}}\", "
        "asset_${index}, sizeof(asset_${index})},\n")
    math(EXPR index "${index} + 1")
endforeach()
string(APPEND code "\nconst struct web_asset assets_all[] = {\n${table}};\n"
    "const size_t assets_count = ${index};\n")
file(WRITE "${OUT}" "${code}")
