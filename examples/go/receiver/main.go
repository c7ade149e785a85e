// A receiver: checks each signature, takes each message once, answers, and works on it afterwards.
//
//	WEBHOOK_SECRET=whsec_… bin/receiver
//
// This one keeps what it has received in memory, and never much of it. That is enough for work that
// may be lost or done twice, such as emptying a cache: when the process is killed, messages that it
// has answered and not worked on are gone (what was answered with 2xx is not sent again), and so
// are the ids of those that it has worked on. The receivers in Python and TypeScript keep both in
// a table. docs/receivers.md says more.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	bodyBytesMax = 2 << 20 // the hub takes payloads of 1 MiB; the envelope adds a little
	queueMax     = 1_000   // messages that wait for their work
	idsMax       = 100_000 // message ids that are remembered, the last ones: about 10 MB
)

type event struct {
	ID   string          `json:"id"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// What this service does with an event.
func work(e event, takes time.Duration) {
	time.Sleep(takes) // stands for what takes its time
	fmt.Println(e.Type, e.ID, string(e.Data))
}

// inbox is a queue of events that takes each message once.
type inbox struct {
	mutex sync.Mutex
	queue chan event
	known map[string]bool
	ring  []string // the keys of known, the oldest at next
	next  int
}

func newInbox() *inbox {
	return &inbox{queue: make(chan event, queueMax), known: map[string]bool{},
		ring: make([]string, idsMax)}
}

// add is false when the queue is full; then the message is not remembered either.
func (in *inbox) add(messageID string, e event) bool {
	in.mutex.Lock()
	defer in.mutex.Unlock()
	if in.known[messageID] {
		return true
	}
	select {
	case in.queue <- e:
	default:
		return false
	}
	delete(in.known, in.ring[in.next])
	in.known[messageID] = true
	in.ring[in.next] = messageID
	in.next = (in.next + 1) % len(in.ring)
	return true
}

func receive(webhook *standardwebhooks.Webhook, in *inbox) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodPost:
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		case r.ContentLength < 0: // not known before
			w.WriteHeader(http.StatusLengthRequired)
			return
		case r.ContentLength > bodyBytesMax:
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // who asked is gone
		}
		// Over the bytes as they came: JSON that was read and written again has another signature.
		if err := webhook.Verify(body, r.Header); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var e event
		if err := json.Unmarshal(body, &e); err != nil {
			w.WriteHeader(http.StatusBadRequest) // no envelope: the subscriber is not set up for us
			return
		}
		// By webhook-id, which is signed. X-Message-Id says the same, but anybody can change it.
		if !in.add(r.Header.Get("webhook-id"), e) {
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent) // also for a repetition: the hub wants to hear it
	}
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	secret := os.Getenv("WEBHOOK_SECRET")
	if secret == "" { // with an empty key anybody could sign
		log.Fatal("WEBHOOK_SECRET has to be the subscriber's secret, whsec_…")
	}
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		log.Fatal(err)
	}
	takes, err := time.ParseDuration(env("WORK_SECONDS", "0") + "s")
	if err != nil {
		log.Fatal(err)
	}
	in := newInbox()
	server := &http.Server{
		Addr:        "127.0.0.1:" + env("PORT", "8080"), // a proxy with TLS stands before it
		Handler:     receive(webhook, in),
		ReadTimeout: 10 * time.Second,
	}
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		for e := range in.queue {
			work(e, takes)
		}
	}()

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	go func() {
		log.Printf("listening on http://%s/", server.Addr)
		if err := server.ListenAndServe(); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-stop.Done()
	// No new requests; those that have begun are answered, and the queue is worked through, because
	// nobody else has what is in it.
	if err := server.Shutdown(context.Background()); err != nil {
		log.Print(err)
	}
	close(in.queue)
	<-worked
}
