# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What `make install` and the .deb carry.
list(JOIN ALK_REQUIRES ", " ALK_PC_REQUIRES)
configure_file(${CMAKE_SOURCE_DIR}/cmake/alknet.pc.in ${CMAKE_BINARY_DIR}/alknet.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/alknet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(TARGETS alknet_static alknet_shared
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/alknet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
if(alk_cli)
    install(TARGETS alknet RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    install(FILES $<TARGET_FILE_DIR:alknet>/git-remote-alknet DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
foreach(section 1 3 5 7 8)
    file(GLOB pages CONFIGURE_DEPENDS docs/man/*.${section})
    install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
# The command prints its own completion scripts.
if(alk_cli)
    set(completions)
    foreach(shell bash zsh fish)
        set(file ${CMAKE_BINARY_DIR}/completions/${shell})
        add_custom_command(OUTPUT ${file} DEPENDS alknet VERBATIM
            COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/completions
            COMMAND $<TARGET_FILE:alknet> completion ${shell} > ${file})
        list(APPEND completions ${file})
    endforeach()
    if(NOT ALK_SANITIZE)
        add_custom_target(completions ALL DEPENDS ${completions})
        install(FILES ${CMAKE_BINARY_DIR}/completions/bash RENAME alknet
            DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
        install(FILES ${CMAKE_BINARY_DIR}/completions/zsh RENAME _alknet
            DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
        install(FILES ${CMAKE_BINARY_DIR}/completions/fish RENAME alknet.fish
            DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
    endif()
endif()
file(GLOB units CONFIGURE_DEPENDS packaging/systemd/*.service packaging/systemd/*.socket
    packaging/*.service packaging/*.socket)
install(FILES ${units} DESTINATION lib/systemd/system)
install(FILES LICENSE-MIT LICENSE-APACHE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# `make deb`: the dependencies are read from the binaries by dpkg-shlibdeps.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME alknet)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The alknet authors <alknet@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_BINARY_DIR})
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
include(CPack)
# The filter for fail2ban: copy it to /etc/fail2ban/filter.d.
install(FILES packaging/fail2ban/alknet.conf DESTINATION ${CMAKE_INSTALL_DOCDIR}/fail2ban)
