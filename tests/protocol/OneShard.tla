------------------------------ MODULE OneShard ------------------------------
(* The commit protocol of one shard (common/flow): two workers, two customers who take turns in N inputs.

   Kafka holds the truth: a changelog of whole states, the outputs and the committed input offset with its seq move in one
   transaction. Redis is a view that may be wiped, or fall back to an older snapshot, at any moment. Workers may crash between
   any two steps, may be replaced without being told (a zombie), and may lose the reply to a commit.

   Redis's epoch is a fresh token in the program; here the worker's own name does (one process, one thread: its own older
   epoch can do no harm that its present one could not), which keeps the space finite.

   A customer's state is the set of inputs folded into it; an action is published for each input that is folded.
   A changelog record holds the one customer that its transaction touched, so Redis is only right as a whole.
   Mutant = "none" is the protocol as it is built; every other value takes one safeguard away, and TLC must then find a
   violation (tests/protocol/run checks both). *)
EXTENDS Naturals, Sequences, FiniteSets
CONSTANTS Workers, None, N, MaxGeneration, MaxCrash, MaxLoss, Mutant

VARIABLES
  changelog,   \* committed records, each one customer's new state; the index is the seq and the position
  offset, seq, \* the committed input offset (next input) and the seq in its metadata
  outputs,     \* inputs whose action is visible to a read-committed reader, in order
  open,        \* worker -> its open transaction, or NoTx
  generation, owner,             \* the consumer group: who owns the shard by now
  redis, older,                  \* [epoch, pos, seq, state]; and a snapshot that a failover may bring back
  pc, mine,                      \* worker -> where it stands, what it holds
  crashes, losses                \* bounds of the faults
vars == <<changelog, offset, seq, outputs, open, generation, owner, redis, older, pc, mine, crashes, losses>>

NoTx == [state |-> {}, offset |-> 0, seq |-> 0, sent |-> FALSE, live |-> FALSE]
Customers == {0, 1}
Of(input) == input % 2 \* whose input it is
Unknown == [c \in Customers |-> {}]
Empty == [epoch |-> None, pos |-> 0, seq |-> 0, state |-> Unknown]
Nothing == [generation |-> 0, next |-> 0, seq |-> 0, state |-> {}]

Init ==
  /\ changelog = <<>> /\ offset = 1 /\ seq = 0 /\ outputs = <<>>
  /\ open = [w \in Workers |-> NoTx] /\ generation = 0 /\ owner = CHOOSE w \in Workers : TRUE
  /\ redis = Empty /\ older = Empty
  /\ pc = [w \in Workers |-> "idle"] /\ mine = [w \in Workers |-> Nothing]
  /\ crashes = 0 /\ losses = 0

kafka == <<changelog, offset, seq, outputs>>
group == <<generation, owner>>
store == <<redis, older>>
faults == <<crashes, losses>>

Go(w, where) == pc' = [pc EXCEPT ![w] = where]

(* -- the group: the shard goes to w; the one who had it is not told -- *)
Assign(w) ==
  /\ generation < MaxGeneration /\ pc[w] = "idle"
  /\ generation' = generation + 1 /\ owner' = w
  /\ mine' = [mine EXCEPT ![w] = [Nothing EXCEPT !.generation = generation + 1]]
  /\ Go(w, "epoch") /\ UNCHANGED <<kafka, open, store, faults>>

(* -- recovery, in its order: epoch, committed offset, changelog -- *)
TakeEpoch(w) == \* the new producer of a recovery aborts what this worker left open (init_transactions)
  /\ pc[w] = "epoch"
  /\ redis' = [redis EXCEPT !.epoch = w]
  /\ open' = [open EXCEPT ![w] = NoTx]
  /\ Go(w, "committed") /\ UNCHANGED <<kafka, group, older, mine, faults>>

Fence(w, v) == \* a stalled recovery ends the previous owner's transaction instead of waiting for it
  /\ pc[w] = "committed" /\ v # w /\ open[v].live
  /\ open' = [open EXCEPT ![v] = NoTx]
  /\ UNCHANGED <<kafka, group, store, pc, mine, faults>>

Pending == \E v \in Workers : open[v].live /\ open[v].sent
ReadCommitted(w) == \* a stable read: an offset in somebody's open transaction makes it wait
  /\ pc[w] = "committed"
  /\ Mutant = "unstable_offset" \/ ~Pending
  /\ mine' = [mine EXCEPT ![w].next = offset, ![w].seq = seq]
  /\ Go(w, "rebuild") /\ UNCHANGED <<kafka, open, group, store, faults>>

RECURSIVE Replay(_, _, _)
Replay(state, from, to) == IF from > to THEN state
                           ELSE Replay([state EXCEPT ![changelog[from].customer] = changelog[from].state], from + 1, to)
Rebuild(w) == \* from Redis's pos up to the seq of the committed metadata
  /\ pc[w] = "rebuild"
  /\ IF redis.pos > Len(changelog) \/ mine[w].seq > Len(changelog)
       THEN Go(w, "stopped") /\ UNCHANGED <<store>>
       ELSE IF redis.epoch # w /\ Mutant # "ignore_epoch"
         THEN Go(w, "epoch") /\ UNCHANGED <<store>>
         ELSE /\ redis' = IF Mutant = "skip_rebuild" THEN [redis EXCEPT !.pos = mine[w].seq, !.seq = mine[w].seq]
                          ELSE [redis EXCEPT !.pos = mine[w].seq, !.seq = mine[w].seq, !.state = Replay(redis.state, redis.pos + 1, mine[w].seq)]
              /\ older' = redis /\ Go(w, "ready")
  /\ UNCHANGED <<kafka, open, group, mine, faults>>

(* -- a batch of one input: load, decide, publish, commit, apply -- *)
Same(w) == redis.epoch = w /\ redis.pos = mine[w].seq /\ redis.seq = mine[w].seq
Load(w) ==
  /\ pc[w] = "ready" /\ mine[w].next <= N
  /\ IF Same(w) \/ Mutant = "unchecked_load"
       THEN mine' = [mine EXCEPT ![w].state = redis.state[Of(mine[w].next)]] /\ Go(w, IF Mutant = "apply_first" THEN "apply" ELSE "publish")
       ELSE mine' = mine /\ Go(w, "epoch")
  /\ UNCHANGED <<kafka, open, group, store, faults>>

Publish(w) == \* produce everything, then send the offsets: the broker checks the member's generation there and only there
  /\ pc[w] = "publish"
  /\ LET fenced == mine[w].generation # generation /\ Mutant # "fresh_metadata"
         tx == [state |-> mine[w].state \cup {mine[w].next}, offset |-> mine[w].next + 1, seq |-> mine[w].seq + 1,
                sent |-> TRUE, live |-> TRUE]
     IN IF fenced THEN Go(w, "lost") /\ UNCHANGED <<open>>
        ELSE Go(w, "commit") /\ open' = [open EXCEPT ![w] = tx]
  /\ UNCHANGED <<kafka, group, store, mine, faults>>

Land(tx, offset_too) ==
  /\ changelog' = Append(changelog, [customer |-> Of(tx.offset - 1), state |-> tx.state])
  /\ outputs' = Append(outputs, tx.offset - 1)
  /\ IF offset_too THEN offset' = tx.offset /\ seq' = tx.seq ELSE UNCHANGED <<offset, seq>>
Commit(w) == \* the reply arrives ("apply") or is lost ("unknown": treated like every other trouble, recover)
  /\ pc[w] = "commit" /\ open[w].live
  /\ Land(open[w], Mutant # "offsets_outside")
  /\ open' = [open EXCEPT ![w] = NoTx]
  /\ \/ Go(w, CASE Mutant = "offsets_outside" -> "offsets" [] Mutant = "apply_first" -> "next" [] OTHER -> "apply") /\ mine' = mine
     \/ IF Mutant = "assume_aborted" THEN Go(w, "publish") /\ mine' = mine ELSE Go(w, "epoch") /\ mine' = mine
  /\ UNCHANGED <<group, store, faults>>
CommitFenced(w) ==
  /\ pc[w] = "commit" /\ ~open[w].live
  /\ Go(w, "lost") /\ UNCHANGED <<kafka, open, group, store, mine, faults>>
OffsetsLater(w) == \* mutant only
  /\ pc[w] = "offsets" /\ offset' = mine[w].next + 1 /\ seq' = mine[w].seq + 1
  /\ Go(w, "apply") /\ UNCHANGED <<changelog, outputs, open, group, store, mine, faults>>

Apply(w) ==
  /\ pc[w] = "apply"
  /\ IF Same(w) \/ Mutant = "ignore_epoch"
       THEN /\ redis' = [redis EXCEPT !.pos = mine[w].seq + 1, !.seq = mine[w].seq + 1, !.state[Of(mine[w].next)] = mine[w].state \cup {mine[w].next}]
            /\ older' = redis /\ Go(w, IF Mutant = "apply_first" THEN "publish" ELSE "next")
       ELSE UNCHANGED <<store>> /\ Go(w, "epoch")
  /\ UNCHANGED <<kafka, open, group, mine, faults>>
Advance(w) ==
  /\ pc[w] = "next" /\ Go(w, "ready")
  /\ mine' = [mine EXCEPT ![w].next = @ + 1, ![w].seq = @ + 1]
  /\ UNCHANGED <<kafka, open, group, store, faults>>

Leave(w) == \* a fenced or outdated member forgets everything and joins again
  /\ pc[w] = "lost" /\ Go(w, "idle") /\ mine' = [mine EXCEPT ![w] = Nothing]
  /\ open' = [open EXCEPT ![w] = NoTx] /\ UNCHANGED <<kafka, group, store, faults>>

Notice(w) == \* recovering and idling members keep polling, so a zombie hears at last that the shard is not his: without
             \* this he and the owner take the epoch from each other for ever (TLC found it)
  /\ pc[w] \in {"epoch", "committed", "rebuild", "ready"} /\ mine[w].generation # generation
  /\ Mutant # "deaf_zombie"
  /\ Go(w, "lost") /\ UNCHANGED <<kafka, open, group, store, mine, faults>>

(* -- the world -- *)
Crash(w) == \* what it had open stays open until it times out, is fenced, or w comes back
  /\ crashes < MaxCrash /\ pc[w] # "idle" /\ crashes' = crashes + 1
  /\ Go(w, "idle") /\ mine' = [mine EXCEPT ![w] = Nothing]
  /\ UNCHANGED <<kafka, open, group, store, losses>>
Timeout(w) == \* the coordinator aborts a transaction that stays open
  /\ open[w].live /\ pc[w] # "commit"
  /\ open' = [open EXCEPT ![w] = NoTx]
  /\ UNCHANGED <<kafka, group, store, pc, mine, faults>>
Wipe == losses < MaxLoss /\ losses' = losses + 1 /\ redis' = Empty
        /\ UNCHANGED <<kafka, open, group, older, pc, mine, crashes>>
Failover == losses < MaxLoss /\ losses' = losses + 1 /\ redis' = older
        /\ UNCHANGED <<kafka, open, group, older, pc, mine, crashes>>

Work(w) == TakeEpoch(w) \/ ReadCommitted(w) \/ Rebuild(w) \/ Load(w) \/ Publish(w) \/ Commit(w) \/ CommitFenced(w)
           \/ OffsetsLater(w) \/ Apply(w) \/ Advance(w) \/ Leave(w) \/ (\E v \in Workers : Fence(w, v))
Next == (\E w \in Workers : Work(w) \/ Notice(w) \/ Assign(w) \/ Crash(w) \/ Timeout(w)) \/ Wipe \/ Failover
Spec == Init /\ [][Next]_vars /\ \A w \in Workers : WF_vars(Work(w)) /\ WF_vars(Notice(w)) /\ WF_vars(Timeout(w))

(* -- what a user may rely on -- *)
Once == \A i, j \in 1..Len(outputs) : i # j => outputs[i] # outputs[j]   \* no action twice
NoLoss == \A i \in 1..(offset - 1) : \E j \in 1..Len(outputs) : outputs[j] = i \* no input skipped
StateRight == \A c \in Customers : \* nothing forgotten
  Replay(Unknown, 1, Len(changelog))[c] = {outputs[i] : i \in {j \in 1..Len(outputs) : Of(outputs[j]) = c}}
SeqRight == pc # [w \in Workers |-> "offsets"] => (Mutant = "offsets_outside" \/ (seq = Len(changelog) /\ offset = Len(outputs) + 1))
NeverStops == \A w \in Workers : pc[w] # "stopped" \* a shard stops only for an unclean Kafka, which is not modelled
Progress == \* once the shard keeps an owner that is alive, every input is folded, whatever happened before
  <>[](generation > 0 /\ pc[owner] # "idle") => <>(offset = N + 1)
=============================================================================
