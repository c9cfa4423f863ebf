BOOM.give("models/gotennet_600k",{});
