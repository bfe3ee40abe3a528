# cmake -DDISPATCHER=<binary> -DOUT=<directory> -P ManPages.cmake
# Writes dispatcher.1 and one dispatcher-<command>.1 for each command that the binary has.
function(page name)
    execute_process(COMMAND "${DISPATCHER}" help ${ARGN} --man OUTPUT_VARIABLE text
        COMMAND_ERROR_IS_FATAL ANY)
    file(WRITE "${OUT}/${name}.1" "${text}")
endfunction()

file(REMOVE_RECURSE "${OUT}")
execute_process(COMMAND "${DISPATCHER}" help --list OUTPUT_VARIABLE commands
    COMMAND_ERROR_IS_FATAL ANY)
string(STRIP "${commands}" commands)
string(REPLACE "\n" ";" commands "${commands}")
foreach(command IN LISTS commands)
    string(REPLACE " " ";" words "${command}")
    string(REPLACE " " "-" name "${command}")
    page("dispatcher-${name}" ${words})
endforeach()
page(dispatcher)
