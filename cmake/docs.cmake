# SPDX-License-Identifier: MIT OR Apache-2.0
#
# gen_docs writes the pages that are made from tables; tools/gen-docs puts them
# in their places and `gen-docs` is the target that runs it.
add_executable(gen_docs EXCLUDE_FROM_ALL tools/gen_docs.c)
alk_flags(gen_docs)
target_link_libraries(gen_docs PRIVATE alknet_static)
add_custom_target(gen-docs COMMAND ${CMAKE_SOURCE_DIR}/tools/gen-docs USES_TERMINAL)
