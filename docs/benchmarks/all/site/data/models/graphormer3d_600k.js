BOOM.give("models/graphormer3d_600k",{});
