%% The same patterns in distributed Erlang: a process on the far node counts, the near node asks, tells and fetches.
-module(tallier).
-export([far/0, near/3]).

-define(TEXT, <<"One process asks another, and all that it wants to know is how much there has been so far...">>).
-define(WINDOW, 64).
-define(WAVE, 100000).

far() ->
    register(tallier, spawn(fun() -> count(0, 0, 0, 0) end)),
    io:format("~s~n", [node()]),
    io:get_line(""),
    halt().

count(Count, Sum, Misplaced, Next) ->
    receive
        {note, Number, <<_:92/binary>>} ->
            count(Count + 1, Sum + Number, Misplaced + late(Number, Next), Number + 1);
        {add, From, Ref, Number, <<_:92/binary>>} ->
            From ! {Ref, Sum + Number},
            count(Count + 1, Sum + Number, Misplaced + late(Number, Next), Number + 1);
        {count, From, Ref} ->
            From ! {Ref, {Count, Sum, Misplaced}},
            count(Count, Sum, Misplaced, Next);
        {fetch, From, Ref, Bytes} ->
            From ! {Ref, binary:copy(<<1>>, Bytes)},
            count(Count, Sum, Misplaced, Next)
    end.

late(Number, Number) -> 0;
late(_, _) -> 1.

near(Far, Pattern, Load) ->
    true = net_kernel:connect_node(Far),
    Figures = play(Pattern, {tallier, Far}, Load),
    [io:format("~.4f~n", [float(Figure)]) || Figure <- Figures],
    halt().

play(remote_ask, To, Load) ->
    [ask(To, Number) || Number <- lists:seq(0, Load div 5 - 1)],
    {Warm, Sum, _} = tally(To),
    Times = lists:sort(ask_timed(To, 0, Load, Sum, [])),
    {Count, _, _} = tally(To),
    Count = Warm + Load,
    [lists:nth(max(1, Load * Percent div 100), Times) / 1000 || Percent <- [50, 99]];
play(remote_ask64, To, Load) ->
    ask_many(To, Load div 10),
    {Warm, _, _} = tally(To),
    {Took, Asked} = timed(fun() -> ask_many(To, Load) end),
    {Count, _, _} = tally(To),
    Asked = Count - Warm,
    [Asked / Took];
play(remote_tell, To, Load) ->
    Warm = tell_waves(To, 0, Load div 10),
    {Took, Told} = timed(fun() -> tell_waves(To, Warm, Load) end),
    {Told, _, 0} = tally(To),
    [(Told - Warm) / Took];
play(remote_burst, To, Load) ->
    tally(To),
    {Took, Tally} = timed(fun() -> tell(To, 0, Load), tally(To) end),
    {Load, _, 0} = Tally,
    [Load / Took, 100];
play(object_1_gib, To, Load) ->
    {Took, Size} = timed(fun() -> byte_size(call(To, fun(Ref) -> {fetch, self(), Ref, Load} end)) end),
    Load = Size,
    [Load / Took / 1.0e9].

ask_timed(_, Load, Load, _, Times) -> Times;
ask_timed(To, Number, Load, Sum, Times) ->
    Begun = erlang:monotonic_time(nanosecond),
    Answer = ask(To, Number),
    Took = erlang:monotonic_time(nanosecond) - Begun,
    Answer = Sum + Number,
    ask_timed(To, Number + 1, Load, Answer, [Took | Times]).

ask(To, Number) -> call(To, fun(Ref) -> {add, self(), Ref, Number, ?TEXT} end).

tally(To) -> call(To, fun(Ref) -> {count, self(), Ref} end).

call(To, Message) ->
    Ref = make_ref(),
    To ! Message(Ref),
    receive {Ref, Answer} -> Answer after 120000 -> exit(no_answer) end.

ask_many(To, Count) ->
    Share = Count div ?WINDOW,
    Me = self(),
    Askers = [spawn_link(fun() ->
        [ask(To, Number) || Number <- lists:seq(0, Share - 1)],
        Me ! {done, self()}
    end) || _ <- lists:seq(1, ?WINDOW)],
    [receive {done, Asker} -> ok end || Asker <- Askers],
    Share * ?WINDOW.

tell_waves(To, Number, Load) when Load > 0 ->
    Next = tell(To, Number, ?WAVE),
    {Next, _, 0} = tally(To),
    tell_waves(To, Next, Load - ?WAVE);
tell_waves(_, Number, _) -> Number.

tell(_, Number, 0) -> Number;
tell(To, Number, Left) ->
    To ! {note, Number, ?TEXT},
    tell(To, Number + 1, Left - 1).

%% In seconds.
timed(Work) ->
    Begun = erlang:monotonic_time(nanosecond),
    Result = Work(),
    {(erlang:monotonic_time(nanosecond) - Begun) / 1.0e9, Result}.
