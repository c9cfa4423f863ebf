BOOM.give("models/nlmtp_600k",{});
