from swagv.clips import Video
from swagv.manifest import assign_shards, digest, shard_of


def test_adding_videos_moves_none_and_every_video_has_one_shard():
    few, many = ([Video(f"v{i}", f"v{i}.mp4") for i in range(n)] for n in (40, 50))
    before, after = assign_shards(few, 4), assign_shards(many, 4)
    assert sum(map(len, after.values())) == 50
    for shard, videos in before.items():
        assert set(videos) <= set(after[shard])
        assert all(shard_of(video.video_id, 4) == shard for video in videos)


def test_digest_sees_a_change_of_content():
    assert digest([Video("a", "a.mp4", token="1")]) != digest([Video("a", "a.mp4", token="2")])
