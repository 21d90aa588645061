# espeak-ng's build would clone the sonic library from the network to change speaking speed.
# tercet never does that through espeak, so the build is told to go without it.
set(USE_LIBSONIC OFF CACHE BOOL "" FORCE)
set(SONIC_LIB "unused" CACHE STRING "" FORCE)
set(SONIC_INC "/usr/include" CACHE STRING "" FORCE)
