BOOM.give("models/egnn_600k",{});
