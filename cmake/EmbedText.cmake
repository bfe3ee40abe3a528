# cmake -DIN=<file> -DOUT=<file.c> -DHEADER=<header> -DNAME=<symbol> -P EmbedText.cmake
# Writes one file as a `const struct str`.
file(READ "${IN}" hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)"
    "\\1\n" bytes "${bytes}")
file(WRITE "${OUT}" "// Made by cmake/EmbedText.cmake.\n#include \"${HEADER}\"\n\n"
    "static const unsigned char text[] = {\n${bytes}0};\n"
    "const struct str ${NAME} = {(const char *)text, sizeof(text) - 1};\n")
