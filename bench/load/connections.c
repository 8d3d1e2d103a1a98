#define _GNU_SOURCE
#include "connections.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "usage.h"

#define READ_BYTES (1 << 20)
#define EVENTS 4096
#define SILENT_BUFFER_BYTES 4096

struct tally tally;

static plan the_plan;
static int set = -1;
static bytes arrived; /* what one read brought, behind what its connection had left over */

void connections_begin(const plan *of) {
    the_plan = *of;
    set = epoll_create1(0);
    if (set < 0) fail("epoll_create1: %s", strerror(errno));
}

static const opening *opening_of(const connection *self) {
    return self->role == PUBLISHER ? &the_plan.publisher : &the_plan.subscriber;
}

static void watch(connection *self, int operation, bool room) {
    struct epoll_event event = {.events = EPOLLIN | (room ? EPOLLOUT : 0), .data.ptr = self};
    if (epoll_ctl(set, operation, self->descriptor, &event)) fail("epoll_ctl: %s", strerror(errno));
    self->awaits_room = room;
}

static void end(connection *self, const char *reason) {
    if (self->state == CLOSED) return;
    static unsigned told;
    if (told++ < 3) fprintf(stderr, "generator: connection %u ended: %s\n", self->number, reason);
    if (self->state == READY) tally.ready--;
    else tally.opening--;
    tally.closed++;
    self->state = CLOSED;
    close(self->descriptor);
}

void connection_start(connection *self, enum role role, uint32_t number) {
    *self = (connection){.role = role, .number = number, .state = CONNECTING};
    receipts_begin(&self->received);
    tally.opening++;
    self->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->descriptor < 0) fail("socket: %s", strerror(errno));
    int one = 1, little = SILENT_BUFFER_BYTES;
    setsockopt(self->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (role == SILENT) setsockopt(self->descriptor, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(the_plan.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(self->descriptor, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        fail("connect to port %u: %s", the_plan.port, strerror(errno));
    watch(self, EPOLL_CTL_ADD, true);
}

void connection_flush(connection *self) {
    size_t sent = 0;
    while (sent < self->unsent.length) {
        ssize_t count = send(self->descriptor, self->unsent.data + sent, self->unsent.length - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno != EAGAIN) {
            end(self, strerror(errno));
            return;
        }
        if (count < 0) break;
        sent += (size_t)count;
    }
    self->unsent.length -= sent;
    if (self->unsent.length) memmove(self->unsent.data, self->unsent.data + sent, self->unsent.length);
    if (self->awaits_room != (self->unsent.length > 0)) watch(self, EPOLL_CTL_MOD, self->unsent.length > 0);
}

void connection_say(connection *self, int opcode, const void *payload, size_t length) {
    static uint32_t random = 0x9e3779b9u;
    random ^= random << 13, random ^= random >> 17, random ^= random << 5;
    unsigned char mask[4];
    memcpy(mask, &random, 4);
    put_frame(&self->unsent, opcode, payload, length, mask);
}

void connection_ignore(connection *self) { epoll_ctl(set, EPOLL_CTL_DEL, self->descriptor, NULL); }

static void upgrade(connection *self) {
    int problem = 0;
    socklen_t size = sizeof problem;
    getsockopt(self->descriptor, SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem) {
        end(self, strerror(problem));
        return;
    }
    const opening *how = opening_of(self);
    char head[1024];
    int length = snprintf(head, sizeof head,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " NONCE "\r\n%s\r\n",
                          how->path, the_plan.port,
                          how->deflate ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "");
    if (length >= (int)sizeof head) fail("the path is too long");
    self->state = UPGRADING;
    bytes_append(&self->unsent, head, (size_t)length);
    connection_flush(self);
}

static void become_ready(connection *self) {
    tally.opening--;
    tally.ready++;
    self->state = READY;
}

static void greet(connection *self) {
    const opening *how = opening_of(self);
    self->state = GREETING;
    if (how->first) {
        char text[2048], number[16];
        snprintf(number, sizeof number, "%06u", self->number);
        const char *place = strstr(how->first, "{ID}");
        int before = place ? (int)(place - how->first) : (int)strlen(how->first);
        int length = snprintf(text, sizeof text, "%.*s%s%s", before, how->first, place ? number : "", place ? place + 4 : "");
        if (length >= (int)sizeof text) fail("the first message is too long");
        connection_say(self, TEXT, text, (size_t)length);
        connection_flush(self);
    }
    if (!how->ready && self->state == GREETING) become_ready(self);
}

/* The end of the response head in `data`, or 0 where it has not come whole; the connection ends if it is not the right one. */
static size_t read_response(connection *self, char *data, size_t length) {
    char *head_end = memmem(data, length, "\r\n\r\n", 4);
    if (!head_end) return 0;
    head_end[2] = 0; /* within the blank line, which nobody needs any more */
    char *extensions = strcasestr(data, "\r\nsec-websocket-extensions:");
    if (strncmp(data, "HTTP/1.1 101 ", 13) || !strstr(data, NONCE_ACCEPTED)) {
        *strchr(data, '\r') = 0;
        end(self, data);
        return 0;
    }
    if (extensions && strcasestr(extensions, "permessage-deflate")) {
        self->incoming.deflate = opening_of(self)->deflate;
        self->incoming.takeover = !strcasestr(extensions, "server_no_context_takeover");
    }
    if (opening_of(self)->deflate && !self->incoming.deflate) {
        end(self, "the server does not compress");
        return 0;
    }
    greet(self);
    return (size_t)(head_end + 4 - data);
}

static void on_message(void *owner, const char *data, size_t length) {
    connection *self = owner;
    if (self->state == GREETING) {
        const char *ready = opening_of(self)->ready;
        if (memmem(data, length, ready, strlen(ready))) become_ready(self);
    } else if (self->state == READY) {
        the_plan.handler(self, data, length);
    }
}

static void on_control(void *owner, int opcode, const char *data, size_t length) {
    connection *self = owner;
    if (opcode == CLOSE) end(self, "closed by the server");
    if (opcode != PING || self->state == CLOSED) return;
    tally.pings++;
    connection_say(self, PONG, data, length);
    connection_flush(self);
}

static size_t digest(connection *self, char *data, size_t length) {
    static const receiver to = {on_message, on_control};
    size_t used = 0, more;
    if (self->state == UPGRADING) {
        used = read_response(self, data, length);
        if (!used) return 0;
    }
    const char *wrong = reader_feed(&self->incoming, data + used, length - used, &more, &to, self);
    if (wrong && self->state != CLOSED) {
        tally.wrong++;
        end(self, wrong);
    }
    return used + more;
}

static void receive(connection *self) {
    arrived.length = 0;
    bytes_append(&arrived, self->unread.data, self->unread.length);
    ssize_t count = recv(self->descriptor, bytes_room(&arrived, READ_BYTES), READ_BYTES - 1, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
        end(self, count ? strerror(errno) : "end of the stream");
        return;
    }
    tally.read_at = now();
    tally.reads++;
    tally.bytes_read += (uint64_t)count;
    arrived.length += (size_t)count;
    size_t used = digest(self, arrived.data, arrived.length);
    self->unread.length = 0;
    if (used == arrived.length) return;
    bytes_append(&self->unread, arrived.data + used, arrived.length - used);
}

void connections_turn(uint64_t nanoseconds) {
    static struct epoll_event events[EVENTS];
    /* Whole milliseconds; what is left is spent looking, so that nothing that is due waits for a coarse clock. */
    int count = epoll_wait(set, events, EVENTS, (int)(nanoseconds / 1000000));
    for (int i = 0; i < count; i++) {
        connection *self = events[i].data.ptr;
        if (self->state == CONNECTING) upgrade(self);
        else if (self->state != CLOSED && events[i].events & EPOLLOUT) connection_flush(self);
        if (self->state > CONNECTING && self->state != CLOSED && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(self);
    }
}
