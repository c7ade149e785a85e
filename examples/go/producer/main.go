// A producer: publishes the orders of standard input, one JSON object per line, each once.
//
//	EVENTHUB_URL=http://localhost:3000 EVENTHUB_API_KEY=ehk_… bin/producer < orders.ndjson
//
// An answer may be lost after the hub has taken the event. So each event has an idempotency key and
// is sent again with the same one until the hub has answered: that never makes a second event.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/rand"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	timeout     = 10 * time.Second
	firstWait   = 200 * time.Millisecond
	longestWait = 10 * time.Second
	giveUpAfter = 10 * time.Minute // less than the hub remembers keys (24 h)
)

// errRefused: the hub will not take this event, however often it is sent.
var errRefused = errors.New("refused")

var client = &http.Client{
	Timeout: timeout,
	CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a POST that is redirected would become a GET
	},
}

type newEvent struct {
	EventType string          `json:"event_type"`
	Payload   json.RawMessage `json:"payload"`
}

// publish returns the id of the event.
func publish(event newEvent, key string) (string, error) {
	body, err := json.Marshal(event) // made once: with the same key it has to be the same
	if err != nil {
		return "", err
	}
	giveUp := time.Now().Add(giveUpAfter)
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		id, asked, err := post(body, key)
		if err == nil || errors.Is(err, errRefused) {
			return id, err
		}
		// Growing, so that a hub in trouble is left alone; by chance, so that producers do not come
		// back all at once; and not before the hub wants.
		pause := max(wait/2+time.Duration(rand.Int63n(int64(wait/2))), asked)
		if time.Now().Add(pause).After(giveUp) {
			return "", fmt.Errorf("given up: %w", err)
		}
		log.Printf("%s: %v; again in %.1f s", key, err, pause.Seconds())
		time.Sleep(pause)
	}
}

// post sends the event once. Beside the error it says how long the hub wants to be left alone.
func post(body []byte, key string) (id string, asked time.Duration, err error) {
	request, err := http.NewRequest(http.MethodPost, hub()+"/events", bytes.NewReader(body))
	if err != nil {
		return "", 0, fmt.Errorf("%w: %v", errRefused, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	if apiKey := os.Getenv("EVENTHUB_API_KEY"); apiKey != "" { // none for a hub without keys
		request.Header.Set("Authorization", "Bearer "+apiKey)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", 0, err // no answer: it may have been taken
	}
	defer response.Body.Close()
	var answer struct {
		EventID string `json:"event_id"`
		Detail  string `json:"detail"`
	}
	_ = json.NewDecoder(response.Body).Decode(&answer) // half an answer has no event_id
	status := response.StatusCode
	if status < 300 && answer.EventID != "" {
		return answer.EventID, 0, nil // 202, or 200 when it was taken before
	}
	err = fmt.Errorf("%s %s", response.Status, answer.Detail)
	if status >= 300 && status < 500 && status != http.StatusRequestTimeout &&
		status != http.StatusTooManyRequests {
		err = fmt.Errorf("%w: %v", errRefused, err)
	}
	return "", retryAfter(response.Header.Get("Retry-After")), err
}

// retryAfter: the hub says seconds; a proxy before it may say a date.
func retryAfter(text string) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return time.Until(date)
	}
	return 0
}

func hub() string {
	if url := os.Getenv("EVENTHUB_URL"); url != "" {
		return url
	}
	return "http://localhost:3000"
}

func main() {
	log.SetFlags(0)
	code := 0
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var order struct {
			Order int `json:"order"`
		}
		if err := json.Unmarshal(lines.Bytes(), &order); err != nil {
			log.Fatal(err)
		}
		// The key is the order's own: when this program dies and runs again, it is still the same.
		key := fmt.Sprintf("order-%d-placed", order.Order)
		payload := append(json.RawMessage{}, lines.Bytes()...)
		id, err := publish(newEvent{"order.placed", payload}, key)
		switch {
		case errors.Is(err, errRefused):
			log.Printf("%s: %v", key, err)
			code = 1
		case err != nil:
			log.Fatalf("%s: %v", key, err)
		default:
			fmt.Println(key, id)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	os.Exit(code)
}
