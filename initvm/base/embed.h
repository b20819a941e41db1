/* SPDX-License-Identifier: MIT */
/* A file of the source tree inside the program, as a string: nothing to look for, nothing of another version. */
#pragma once

/* Defines the symbol, to be declared as `extern const char symbol[];`, with the text of a file named from initvm/ and a NUL. */
#define EMBED(symbol, file)                                                                                                      \
        __asm__(".pushsection .rodata\n"                                                                                         \
                ".global " #symbol "\n"                                                                                          \
                ".type " #symbol ", %object\n" #symbol ":\n"                                                                     \
                ".incbin \"" file "\"\n"                                                                                         \
                ".byte 0\n"                                                                                                      \
                ".size " #symbol ", . - " #symbol "\n"                                                                           \
                ".popsection\n")
