package firesteel.checkpoint

import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path => LocalPath}

import scala.concurrent.ExecutionContext.Implicits.global
import scala.concurrent.duration.DurationInt
import scala.concurrent.{Await, Future}

import firesteel.bridge.CheckpointException
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileSystem, Path}
import org.scalatest.funsuite.AnyFunSuite

final class CheckpointLockSuite extends AnyFunSuite {
  private val files = FileSystem.getLocal(new Configuration)
  private val timing = LockTiming(beatMillis = 100, staleMillis = 1500)

  private def lockFile(): Path =
    new Path(Files.createTempDirectory("firesteel").resolve("lock").toString)

  private def local(file: Path): LocalPath = LocalPath.of(file.toUri.getPath)

  private def acquire(file: Path): CheckpointLock = CheckpointLock.acquire(files, file, timing)

  /** Writes a file as another process does, without Hadoop's checksum. */
  private def foreign(file: Path, text: String): Unit = {
    val out = files.create(file, true)
    try out.write(text.getBytes(UTF_8))
    finally out.close()
  }

  private def owner(beat: Long, place: String = "elsewhere", process: Long = 4711): String =
    s"""{"token":"t","place":"$place","process":$process,"since":"s","host":"far","beat":$beat}"""

  test("a second writer of the same process is refused at once, and one after it is not") {
    val file = lockFile()
    val first = acquire(file)
    val error = intercept[CheckpointException](acquire(file))
    assert(error.getMessage.contains(file.toUri.getPath), error.getMessage)
    assert(first.held)
    first.close()
    assert(!Files.exists(local(file)))
    acquire(file).close()
  }

  test("an owner that goes on rewriting its lock keeps it, and is named") {
    val file = lockFile()
    foreign(file, owner(0))
    val waiting = Future(acquire(file))
    Thread.sleep(700)
    foreign(file, owner(1))
    val error = intercept[CheckpointException](Await.result(waiting, 10.seconds))
    assert(error.getMessage.contains("process 4711 on far"), error.getMessage)
    assert(Files.readString(local(file)).contains("far"), "it is as it was")
  }

  test("an owner that falls silent loses its lock") {
    val file = lockFile()
    foreign(file, owner(3))
    val start = System.nanoTime()
    val lock = acquire(file)
    assert((System.nanoTime() - start) / 1000000L > timing.staleMillis)
    assert(lock.held)
    lock.close()
  }

  test("an owner whose process of this machine is dead loses its lock without waiting") {
    val file = lockFile()
    val place = Files.readString(LocalPath.of("/proc/sys/kernel/random/boot_id")).trim + " " +
      Files.readSymbolicLink(LocalPath.of("/proc/self/ns/pid"))
    // The number is this process's own, but it was started at another time.
    foreign(file, owner(3, place, ProcessHandle.current().pid()))
    val start = System.nanoTime()
    acquire(file).close()
    assert((System.nanoTime() - start) / 1000000L < timing.staleMillis)
  }

  test("who finds another's lock in place of his own holds it no more and leaves it there") {
    val file = lockFile()
    val lock = acquire(file)
    Thread.sleep(500)
    assert(lock.held)
    // A beat in between writes over it.
    for (_ <- 1 to 50 if lock.held) {
      foreign(file, owner(0))
      Thread.sleep(40)
    }
    assert(!lock.held)
    lock.close()
    assert(Files.exists(local(file)))
  }
}
