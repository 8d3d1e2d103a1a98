/* Client connections on one epoll set: opened, spoken to, read. */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H
#include "accounts.h"
#include "reader.h"

enum role { SUBSCRIBER, SILENT, PUBLISHER };
enum state { UNOPENED, CONNECTING, UPGRADING, GREETING, READY, CLOSED };

typedef struct connection {
    int descriptor;
    enum role role;
    enum state state;
    uint32_t number; /* among its role */
    bool awaits_room;
    bytes unsent, unread;
    reader incoming;
    receipts received;
    uint64_t asked; /* when the message left that it waits for */
} connection;

/* How connections of a role come to be ready. */
typedef struct {
    const char *path;
    const char *first; /* a message once the handshake is done, {ID} replaced by the number; NULL: none */
    const char *ready; /* ready with the first message that has this text in it; NULL: with the handshake, or after `first` */
    bool deflate;      /* offer permessage-deflate */
} opening;

typedef void (*message_handler)(connection *from, const char *data, size_t length);

typedef struct {
    uint16_t port;
    opening subscriber, publisher;
    message_handler handler; /* messages of ready connections */
} plan;

/* Tells of all connections since the beginning. */
extern struct tally {
    uint32_t ready, opening, closed;
    uint64_t reads, bytes_read, pings, wrong;
    uint64_t read_at; /* when the last read was done: the time of all that came with it */
} tally;

void connections_begin(const plan *of);
void connection_start(connection *self, enum role role, uint32_t number);
/* Queues a frame; `connection_flush` sends it. */
void connection_say(connection *self, int opcode, const void *payload, size_t length);
void connection_flush(connection *self);
/* Reads it no more: the server finds out when its buffers are full. */
void connection_ignore(connection *self);
/* Handles what is there, waiting for it up to so many nanoseconds. */
void connections_turn(uint64_t nanoseconds);
#endif
