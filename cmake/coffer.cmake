# What every target of the project shares: flags, sanitizers, and the three kinds of target.

include(GNUInstallDirs)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

set(COFFER_SANITIZE "" CACHE STRING "sanitizers, for example address,undefined")
option(COFFER_FUZZ "build fuzz targets with libFuzzer (clang)" OFF)
option(COFFER_COVERAGE "instrument for coverage" OFF)
option(TEE_SOFTWARE "build the software TEE backend (development only)" OFF)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

add_compile_options(-Wall -Wextra -Werror -Wshadow -Wformat=2 -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -Wundef -fno-common -fstack-protector-strong)
add_compile_definitions(_GNU_SOURCE COFFER_VERSION="${PROJECT_VERSION}")
add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,--as-needed)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
# assert() guards our own mistakes and stays on in release builds.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
if(COFFER_SANITIZE)
    add_compile_options(-fsanitize=${COFFER_SANITIZE} -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${COFFER_SANITIZE})
endif()
if(COFFER_FUZZ)
    # Coverage feedback from the libraries too, not only from the target's own file.
    add_compile_options(-fsanitize=fuzzer-no-link)
    add_link_options(-fsanitize=fuzzer-no-link)
endif()
if(COFFER_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()
if(TEE_SOFTWARE)
    add_compile_definitions(TEE_SOFTWARE=1)
endif()

# coffer_pkg(NAME module...): an imported target PkgConfig::NAME.
function(coffer_pkg name)
    if(NOT TARGET PkgConfig::${name})
        pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${ARGN})
    endif()
endfunction()

# coffer_needs(TARGET FOLDER): builds the folder too when the list of folders did not name it.
function(coffer_needs target folder)
    if(NOT TARGET ${target})
        add_subdirectory(${CMAKE_SOURCE_DIR}/${folder} ${CMAKE_BINARY_DIR}/${folder})
    endif()
endfunction()

# coffer_library(NAME SOURCES file... LIBS target...): a static library whose headers are
# included by their path from the top, as in "shared/base/error.h".
function(coffer_library name)
    cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
    add_library(${name} STATIC ${arg_SOURCES})
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
    target_link_libraries(${name} PUBLIC ${arg_LIBS} Threads::Threads)
endfunction()

# coffer_program(NAME SOURCES file... LIBS target...)
function(coffer_program name)
    cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
    target_link_libraries(${name} PRIVATE ${arg_LIBS} Threads::Threads)
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# coffer_test(NAME SOURCES file... LIBS target... LABEL unit|integration|vectors): a cmocka
# program. Exit 77 is a skip. Tests start their own servers and never share state.
function(coffer_test name)
    cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "SOURCES;LIBS" ${ARGN})
    if(NOT arg_LABEL)
        set(arg_LABEL unit)
    endif()
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    coffer_pkg(CMOCKA cmocka)
    add_executable(${name} ${arg_SOURCES})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
    target_link_libraries(${name} PRIVATE ${arg_LIBS} PkgConfig::CMOCKA Threads::Threads)
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT}
        SKIP_RETURN_CODE 77
        ENVIRONMENT "COFFER_TEST_ROOTS=${CMAKE_BINARY_DIR}/test-roots;ASAN_OPTIONS=detect_leaks=1;UBSAN_OPTIONS=print_stacktrace=1;CMOCKA_MESSAGE_OUTPUT=stdout")
    if(TEE_SOFTWARE) # shared/attestation/make_test_roots.c
        set_tests_properties(${name} PROPERTIES FIXTURES_REQUIRED test_roots)
    endif()
endfunction()

# coffer_fuzz(NAME SOURCES file... LIBS target... CORPUS dir): with COFFER_FUZZ a libFuzzer
# program; without it the saved inputs are replayed as a normal test.
function(coffer_fuzz name)
    cmake_parse_arguments(arg "" "CORPUS" "SOURCES;LIBS" ${ARGN})
    if(COFFER_FUZZ)
        add_executable(${name} ${arg_SOURCES})
        target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
        add_test(NAME ${name} COMMAND ${CMAKE_SOURCE_DIR}/tests/fuzz/run $<TARGET_FILE:${name}> ${arg_CORPUS}
            WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    else()
        add_executable(${name} ${arg_SOURCES} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
        add_test(NAME ${name} COMMAND ${name} ${arg_CORPUS} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
        set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 60)
    endif()
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
    target_link_libraries(${name} PRIVATE ${arg_LIBS} Threads::Threads)
endfunction()
