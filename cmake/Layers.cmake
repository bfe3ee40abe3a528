# One static library per directory; a library links only what is below it, so an upward call does
# not link. tests/checks/layers checks the includes as well. The map is docs/architecture.md.
function(layer name)
    # LOADS: opened at run time (dispatcher/library.h), so only its headers are needed here.
    cmake_parse_arguments(ARG "" "" "BELOW;USES;LOADS" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/dispatcher/${name}/*.c")
    if(NOT sources)
        add_library(layer_${name} INTERFACE)
        set(scope INTERFACE)
    else()
        add_library(layer_${name} STATIC ${sources})
        target_include_directories(layer_${name} PRIVATE "${CMAKE_SOURCE_DIR}/dispatcher/${name}")
        set(scope PUBLIC)
    endif()
    target_link_libraries(layer_${name} ${scope} dispatcher_flags)
    foreach(below ${ARG_BELOW})
        target_link_libraries(layer_${name} ${scope} layer_${below})
    endforeach()
    target_link_libraries(layer_${name} ${scope} ${ARG_USES})
    library_headers(layer_${name} ${ARG_LOADS})
endfunction()

layer(base USES PkgConfig::JANSSON PkgConfig::OPENSSL Threads::Threads ${CMAKE_DL_LIBS})
layer(crypto BELOW base net USES PkgConfig::OPENSSL)
layer(net BELOW base USES PkgConfig::CURL PkgConfig::OPENSSL LOADS PkgConfig::MHD)
layer(spec BELOW base net crypto USES PkgConfig::YAML)
layer(store BELOW base net crypto LOADS PkgConfig::SQLITE PkgConfig::LIBPQ)
layer(aws BELOW spec store)
layer(github BELOW spec store)
layer(registry BELOW spec store USES PkgConfig::ISAL PkgConfig::DEFLATE PkgConfig::ZSTD
    Threads::Threads LOADS PkgConfig::ARCHIVE)
layer(git BELOW spec store LOADS PkgConfig::GIT2)
layer(build BELOW spec store)
layer(vault BELOW spec store)
layer(notify BELOW spec store USES PkgConfig::OPENSSL)
layer(client BELOW spec store)
layer(deploy BELOW aws github registry git build vault notify)
layer(sandbox BELOW deploy LOADS PkgConfig::MHD)
layer(web BELOW deploy USES PkgConfig::DEFLATE)
layer(service BELOW deploy web LOADS PkgConfig::MHD)
layer(cli BELOW deploy client sandbox service USES PkgConfig::OPENSSL)

# What pages ask for is part of the program.
file(GLOB web_assets CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/dispatcher/web/assets/*")
set(web_assets_c "${CMAKE_BINARY_DIR}/generated/web_assets.c")
add_custom_command(OUTPUT "${web_assets_c}"
    COMMAND "${CMAKE_COMMAND}" "-DIN=${CMAKE_SOURCE_DIR}/dispatcher/web/assets"
        "-DOUT=${web_assets_c}" -P "${CMAKE_SOURCE_DIR}/cmake/WebAssets.cmake"
    DEPENDS ${web_assets} "${CMAKE_SOURCE_DIR}/cmake/WebAssets.cmake"
    COMMENT "Embedding the assets of web/" VERBATIM)
target_sources(layer_web PRIVATE "${web_assets_c}")

# What the service answers at /openapi.yaml.
set(openapi_c "${CMAKE_BINARY_DIR}/generated/openapi.c")
add_custom_command(OUTPUT "${openapi_c}"
    COMMAND "${CMAKE_COMMAND}" "-DIN=${CMAKE_SOURCE_DIR}/docs/openapi.yaml" "-DOUT=${openapi_c}"
        -DHEADER=service_state_internal.h -DNAME=health_description
        -P "${CMAKE_SOURCE_DIR}/cmake/EmbedText.cmake"
    DEPENDS "${CMAKE_SOURCE_DIR}/docs/openapi.yaml" "${CMAKE_SOURCE_DIR}/cmake/EmbedText.cmake"
    COMMENT "Embedding docs/openapi.yaml" VERBATIM)
target_sources(layer_service PRIVATE "${openapi_c}")

add_executable(dispatcher "${CMAKE_SOURCE_DIR}/dispatcher/main.c")
target_link_libraries(dispatcher PRIVATE layer_cli)
set_target_properties(dispatcher PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
