// Every bound, interval and rate of the ring, named once.
#pragma once

#include <cstddef>

#include "base/clock.h"

namespace wow::ring {

// Near edges.
inline constexpr std::size_t kNearPerSide = 3;
inline constexpr Duration kReconcileDelay = 1ms;  // one look for a burst of events
inline constexpr Duration kAnnounceDelay = 50ms;  // changes of a burst go out as one list
inline constexpr Duration kAnnounceRepeat = 1s;   // a lost list is made good soon
inline constexpr Duration kSummaryInterval = 120s;
inline constexpr int kSummaryFarEvery = 2;        // far edges hear every second summary
inline constexpr std::size_t kNearExtraMax = 32;  // near edges kept until they are introduced
inline constexpr Duration kStabilizeFirst =
    500ms;  // CTM to our own address; doubles, to kStabilizeMax
inline constexpr Duration kStabilizeMax = 120s;
inline constexpr Duration kHintLife = 10s;  // members heard of in replies and lists of lost edges
inline constexpr std::size_t kHintsMax = 64;
inline constexpr Duration kAvoidFor = 15s;  // after a peer was lost or could not be linked; doubles
inline constexpr Duration kAvoidMost = 10min;
inline constexpr std::size_t kAvoidMax = 256;
inline constexpr Duration kPatience = 600ms;  // with one candidate before the next is tried as well
inline constexpr std::size_t kTriedMore = 4;  // on each side, if so many have not answered
inline constexpr Duration kSettleLimit = 3s;  // for those nearest to us to count on us
inline constexpr std::size_t kListMembersMax = 32;    // in one Neighbours message
inline constexpr std::size_t kListDescribedMax = 16;  // of them with endpoints; and in a CTM reply:
inline constexpr std::size_t kListEndpointsMax = 2;   // of each, so that both fit one packet

inline constexpr int kRoleRepeats = 3;  // 1 in 10^5 sets of roles stays unknown at 5 % loss
inline constexpr Duration kRoleRepeat = 700ms;

// One end of an edge challenges; the other waits a little longer, so that it need not. With eight
// probes and their round trips each still finds the other dead within 5 s.
inline constexpr Duration kKeepaliveAdjacent = 3200ms;
inline constexpr Duration kKeepaliveAdjacentOther = 3400ms;
inline constexpr Duration kKeepaliveEdge = 25s;
inline constexpr Duration kKeepaliveEdgeOther = 28s;  // NATs forget after 30 s; or see FlowTimeout
inline constexpr Duration kPlainSessionIdle = 5min;   // a session that is no edge
inline constexpr Duration kSweepInterval = 60s;

// Far edges and shortcuts.
inline constexpr Duration kFarTick = 5s;
inline constexpr Duration kFarTickMax = 2min;
inline constexpr Duration kFarFirst = 300ms;
inline constexpr int kFarMax = 16;
inline constexpr int kFarTrials = 3;                // others that one far edge is compared with,
inline constexpr Duration kFarTrialTick = 5s;       // one at a time,
inline constexpr Duration kFarTrialTickSlow = 20s;  // behind a NAT with another port for each peer,
inline constexpr Duration kFarTrialTickMax = 1min;  // or nothing to try
inline constexpr Duration kFarTrialFirst = 15s;     // after having joined
inline constexpr Duration kFarQuick = 10ms;         // a round trip that nobody needs to better
inline constexpr Duration kShortcutIdle = 5min;
inline constexpr std::size_t kShortcutsMax = 256;

// Joining.
inline constexpr Duration kDialFirst = 1s;  // doubles
inline constexpr Duration kDialMax = 15s;
inline constexpr Duration kAskLeafMax = 2s;
inline constexpr Duration kAskLeafAgain = 300ms;  // our place, if no reply has come; doubles
inline constexpr Duration kAloneAfter = 3s;
inline constexpr std::size_t kDialsMax = 32;     // at once, bootstraps and remembered members
inline constexpr std::size_t kStreamStarts = 3;  // of those, over streams
inline constexpr std::size_t kLeavesKept =
    2;  // bootstraps kept for life, as a way back after a move
inline constexpr std::size_t kRememberedMax = 64;
inline constexpr std::size_t kNamedMax = 64;         // addresses that names of bootstraps stand for
inline constexpr std::size_t kReferralsMax = 16;     // while joining
inline constexpr std::size_t kReferralsTaken = 1;    // of those that one bootstrap names
inline constexpr Duration kOutsiderDialMin = 15s;    // x N/50: a member that is no edge is dialled,
inline constexpr Duration kOutsiderDialMax = 10min;  // so that separated rings meet

// Links.
inline constexpr std::size_t kLinksMax = 1024;  // at most half of them begun by others
inline constexpr Duration kConnectLimit = 10s;  // no session by then: given up
inline constexpr Duration kAskFirst = 1s;       // a lost CTM is repeated; doubles
inline constexpr Duration kRecheckFirst = 5s;   // a session without a direct path; doubles
inline constexpr Duration kRecheckMax = 60s;
// Both NATs choose a port for each peer: how soon one such peer is checked again, and how many are.
inline constexpr Duration kRecheckHopeless = 10min;
inline constexpr Duration kToldSoon = 600ms;  // so long a peer may take to say what its NAT does
inline constexpr double kHopelessPerSecond = 0.01;
inline constexpr double kHopelessBurst = 2;
inline constexpr int kRecheckRounds = 3;          // unless the session is an edge that we want
inline constexpr Duration kCandidatesPause = 1s;  // between two answers to candidates of one peer
inline constexpr double kChecksPerSecond = 100;   // of all peers' candidates
inline constexpr double kChecksBurst = 64;
inline constexpr Duration kCheckPause = 50ms;   // when that is used up
inline constexpr std::size_t kCheckBytes = 44;  // of one check, at most
// Of one that opens a stream: as many as Linux sends SYNs in the 8 s that a dial may take.
inline constexpr std::size_t kStreamCheckBytes = 240;
inline constexpr std::size_t kDirectDials = 2;   // candidates that get the first flight
inline constexpr double kCandidatesPerPeer = 1;  // taken, a second
inline constexpr double kCandidatesPerPeerBurst = 10;

// Ports that are guessed (nat/punch_plan.h).
// So long others may find a path by themselves; plus two round trips, for what tells where.
inline constexpr Duration kPunchAfter = 300ms;
// Hundreds of sockets are not opened towards who has no NAT before its usual answers are overdue.
inline constexpr Duration kPunchPublicAfter = 2s;
inline constexpr Duration kPunchAgain = 5min;   // after an attempt that came to nothing
inline constexpr Duration kPunchTurn = 2s;      // while another peer's is under way
inline constexpr int kPunchTries = 3;           // of an attempt, where ports can be predicted
inline constexpr Duration kPunchTry = 800ms;    // each
inline constexpr Duration kPunchLast = 2s;      // for the last answers of a try by chance
inline constexpr std::size_t kPunchesMax = 64;  // peers, those tried in vain lately included
// A report of so many bytes lets its receiver send three times as many in checks.
inline constexpr std::size_t kPortsBytes = 1000;
inline constexpr int kProbesPerReport = 3 * kPortsBytes / kCheckBytes;
inline constexpr double kReportsPerPeer = 5;  // taken, a second
inline constexpr double kReportsPerPeerBurst = 10;
inline constexpr Duration kSurveyLimit = 400ms;  // for the answers of a member; then another one
inline constexpr int kSurveyTries = 3;
inline constexpr Duration kSurveyRandom = 5min;  // each survey takes entries of the NAT, too
inline constexpr Duration kSurveyFresh = 500ms;  // so long its result may be taken for the present

// Streams.
inline constexpr Duration kUpgradeEvery = 5s;       // a session on a stream is tried by UDP
inline constexpr std::size_t kUpgradesPerTurn = 8;  // so many of them
inline constexpr Duration kUpgradePace = 50ms;      // between two turns when UDP has just come back

// Relays.
inline constexpr Duration kRelayAfter = 1s;  // a near edge without a direct path gets one
inline constexpr Duration kRelayTurn =
    400ms;  // the lower address leaves the first try to the other
inline constexpr Duration kRelayTick = 100ms;        // while something is asked
inline constexpr Duration kRelaySweep = 10s;         // while circuits are held
inline constexpr Duration kRelayUnused = 30s;        // a circuit that its session needs no more
inline constexpr Duration kRelayCompare = 20s;       // with other ways; doubles,
inline constexpr Duration kRelayCompareMax = 10min;  // to this
inline constexpr Duration kRelayGain = 2ms;          // and a quarter: so much a better one saves
inline constexpr Duration kRelayPerLoad = 1ms;       // that a relay is spared for each percent
inline constexpr Duration kRelaySpared = 10ms;       // the same for a bootstrap: it is everybody's
inline constexpr Duration kRelayPerLossy = 1s;       // or if packets were lost through it,
inline constexpr Duration kRelayLossyFor = 10min;    // so long ago
inline constexpr std::size_t kRelaysLossyMax = 64;
inline constexpr std::size_t kToldMax = 64;  // peers that told of their direct paths
inline constexpr Duration kToldLife = 60s;
inline constexpr Duration kOpenRepeat = 300ms;       // a lost request for a circuit
inline constexpr Duration kOpenLimit = 1200ms;       // an answer may take so long,
inline constexpr Duration kOpenLinkLimit = 2s;       // and if the relay has to link first, so long
inline constexpr Duration kOpenLinkWait = 1600ms;    // the relay's own patience with that
inline constexpr Duration kSecondRelayWait = 600ms;  // before another second relay is asked
inline constexpr int kSecondRelaysMax = 4;
inline constexpr std::size_t kAsksAtOnce = 4;     // relays asked for one peer
inline constexpr std::size_t kAsksPerRound = 12;  // in one way of asking
inline constexpr Duration kSearchAgain = 1s;      // when nobody could; doubles
inline constexpr Duration kSearchAgainMax = 30s;
inline constexpr std::size_t kSearchesMax = 64;
inline constexpr std::size_t kRequestedMax = 256;  // circuits asked of us, not yet agreed to
inline constexpr std::size_t kRequestedPerPeer = 32;
inline constexpr double kOpensPerSecond = 20;  // of one peer, repetitions included
inline constexpr double kOpensBurst = 100;
inline constexpr double kPurposeLinks = 1;  // that a peer may have us make, a second
inline constexpr double kPurposeLinksBurst = 16;
inline constexpr Duration kUnlinkable = 60s;  // so long a failure to link on purpose is remembered
inline constexpr std::size_t kUnlinkableMax = 256;
inline constexpr std::size_t kCircuitsPerFarEnd = 4;  // consented to
inline constexpr std::size_t kStrangerEnds = 64;      // of far ends that we have no session with

// Connect-To-Me.
inline constexpr std::size_t kCtmBytesMax = 1100;
inline constexpr std::size_t kShortcutWordMax = 16;
inline constexpr std::size_t kRequestsMax = 1024;  // of ours, waiting for a reply
inline constexpr Duration kRequestLife = 10s;
inline constexpr Duration kLocateLimit = 3s;
inline constexpr Duration kLocateRepeat = 700ms;
inline constexpr Duration kTraceLimit = 1500ms;  // for one hop of a trace to answer
inline constexpr Duration kTraceRepeat = 700ms;
inline constexpr int kTraceSilentMax = 3;  // hops in a row that do not answer: given up
inline constexpr std::size_t kTracesMax = 4;
inline constexpr Duration kCtmMemory = 60s;  // a clock that is set back silences a source so long
inline constexpr Duration kCtmReorder = 2s;  // two ways through the ring, one slower
inline constexpr std::size_t kCtmIdsKept = 64;  // of one source
inline constexpr double kCtmPerSource = 20;     // answered, a second
inline constexpr double kCtmPerSourceBurst = 60;
inline constexpr double kCtmPerHop = 400;  // forwarded, a second and previous hop
inline constexpr double kCtmPerHopBurst = 2000;
inline constexpr std::size_t kRatesMax = 1024;  // sources and hops counted
inline constexpr Duration kViaLife = 60s;
inline constexpr std::size_t kViasMax = 1024;

// Acknowledged hops.
inline constexpr int kPatientHops = 8;  // further ones are chosen by distance, not by delay
inline constexpr std::size_t kUnackedMax = 256;  // packets kept; further ones go without
inline constexpr std::size_t kHopTriesMax = 3;   // next hops that did not answer; then best effort
inline constexpr Duration kAckPatience = 150ms;  // plus one and a half round trips,
inline constexpr Duration kAckUnmeasured = 200ms;  // each of this if it is not known
// Each acknowledgement in time allows so much of sending another packet again; so many are saved
// up.
inline constexpr double kAgainPerAck = 0.2;
inline constexpr double kAgainMax = 32;
inline constexpr Duration kDoubtedFor = 5s;  // nothing of ours is nested through who fell silent
inline constexpr Duration kSilentFor = 1s;   // after a missed one, others are preferred
inline constexpr Duration kAckDelay = 40ms;  // acknowledgements to one peer go together
inline constexpr std::size_t kAcksPerMessage = 64;

// Broadcast.
inline constexpr std::size_t kBroadcastBytesMax = 1024;
inline constexpr double kBroadcastsPerSecond = 1;  // of one origin, passed on
inline constexpr double kBroadcastsBurst = 10;
inline constexpr double kArcsPerSecond = 20;  // from one neighbour, of whatever origins
inline constexpr double kArcsBurst = 200;
inline constexpr std::size_t kBroadcastTasksMax = 64;  // arcs that we are responsible for at once
// An arc may come to us late, when whoever had it has died; older ones are replayed.
inline constexpr Duration kBroadcastReorder = 60s;
inline constexpr std::size_t kBroadcastIdsKept =
    128;  // of one origin, more than it may send in that time
inline constexpr std::size_t kBroadcastOriginsMax = 1024;
inline constexpr Duration kBroadcastMemory = 60min;    // of an origin that is quiet
inline constexpr Duration kBroadcastPatience = 300ms;  // with a child, plus two round trips
inline constexpr Duration kBroadcastLimit = 20s;       // for an arc
inline constexpr std::uint32_t kBroadcastHopsMax = 64;
inline constexpr int kBroadcastTriesMax = 4;  // of one arc, each by another edge

// Rings that grew apart.
inline constexpr Duration kMergeSettle = 1500ms;    // a contact becomes known on the other ring
inline constexpr Duration kMergeQuiet = 20s;        // between two merges that we start
inline constexpr double kMergeAsksPerSecond = 200;  // of a ring, into the other through one gateway
inline constexpr Duration kGatewayFor = 60s;
inline constexpr std::size_t kOutsidersMax = 64;  // lost members that are remembered
inline constexpr std::size_t kIngressMax = 1024;  // sources whose way in a gateway remembers
inline constexpr Duration kIngressLife = 30s;

// Messages of services.
inline constexpr std::size_t kPieceBytes = 1072;  // + 159 of headers when nested: 1,280 over IPv6
inline constexpr std::size_t kPartialsPerPeer = 8;
inline constexpr std::size_t kPartialBytesMax = 8 * 1024 * 1024;  // of all peers
inline constexpr Duration kPartialLife = 5s;
inline constexpr std::size_t kOutboxMessagesPerPeer = 64;
inline constexpr std::size_t kOutboxBytesPerPeer = 256 * 1024;
inline constexpr std::size_t kOutboxBytesMax = 8 * 1024 * 1024;
inline constexpr Duration kOutboxLife = 30s;  // longer than an attempt to link

// Moves.
inline constexpr Duration kMovedFor = 10s;  // checks carry the moved flag for so long

}  // namespace wow::ring
