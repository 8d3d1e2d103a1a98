/* What a run is to do, as the command line says it. */
#ifndef OPTIONS_H
#define OPTIONS_H
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *mode;
    uint16_t port;
    int server; /* process id; 0: its CPU time and memory are not looked at */
    const char *path, *first, *ready, *publisher_path, *publisher_ready, *message;
    uint32_t clients, silent, opening, window, burst, size;
    double rate, seconds, warm_up, settle, patience;
    bool addressed, deflate;
} options;

options options_read(int count, char **arguments);
#endif
