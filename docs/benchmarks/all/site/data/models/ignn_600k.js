BOOM.give("models/ignn_600k",{});
