package firesteel.checkpoint

import java.io.{FileNotFoundException, IOException}
import java.net.InetAddress
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Paths}
import java.util.UUID
import java.util.concurrent.{ConcurrentHashMap, Executors, ScheduledExecutorService, TimeUnit}

import scala.annotation.tailrec
import scala.util.Try
import scala.util.control.NonFatal

import firesteel.bridge.CheckpointException
import firesteel.util.HadoopFiles
import org.apache.hadoop.fs.{ChecksumException, FileAlreadyExistsException, FileSystem, Path}
import org.json4s.DefaultFormats
import org.json4s.jackson.{JsonMethods, Serialization}
import org.slf4j.LoggerFactory

/** The timing of a lock's heartbeats.
  *
  * @param beatMillis
  *   the time between two heartbeats, at which the owner rewrites the file
  * @param staleMillis
  *   the time without a heartbeat after which a lock has no owner
  */
private[firesteel] final case class LockTiming(beatMillis: Long, staleMillis: Long)

/** The owner of a lock; the content of its file.
  *
  * @param token
  *   a unique id
  * @param place
  *   the boot of the machine and the pid namespace; empty where unknown
  * @param process
  *   the process id
  * @param since
  *   the start time of that process
  * @param host
  *   the name of the host, for messages
  * @param beat
  *   the number of heartbeats so far
  */
private[firesteel] final case class LockOwner(
    token: String,
    place: String,
    process: Long,
    since: String,
    host: String,
    beat: Long
)

/** A lock file that one writer holds at a time. A writer that finds no file creates it, reads it back, and rewrites it
  * at every heartbeat. A lock is taken over if its content stays the same for long, or if its process is known to be
  * dead. No clocks are compared: a waiting writer watches the file itself.
  */
private[firesteel] final class CheckpointLock private (
    files: FileSystem,
    file: Path,
    own: LockOwner,
    timing: LockTiming
) extends AutoCloseable {
  import CheckpointLock._

  @volatile private var last = System.nanoTime()
  @volatile private var lost = false
  private var beats = own.beat

  private val heartbeats: ScheduledExecutorService =
    Executors.newSingleThreadScheduledExecutor(thread("firesteel-lock")(_))
  heartbeats.scheduleWithFixedDelay(
    () => beat(),
    timing.beatMillis,
    timing.beatMillis,
    TimeUnit.MILLISECONDS
  )

  /** True while no other writer can hold the lock. */
  def held: Boolean = !lost && (System.nanoTime() - last) / 1000000L < timing.staleMillis

  private def beat(): Unit =
    try
      if (!read(files, file).flatMap(parse).exists(_.token == own.token)) {
        if (!lost) log.warn(s"Another writer took the lock $file: no more checkpoints are written")
        lost = true
      } else {
        beats += 1
        write(files, file, own.copy(beat = beats))
        last = System.nanoTime()
      }
    catch { case NonFatal(error) => log.warn(s"Renewing the lock $file failed: $error") }

  /** Stops the heartbeats. */
  def stop(): Unit = {
    heartbeats.shutdownNow()
    // An interrupted thread also waits for the heartbeat: a write after the release would leave a lock.
    val interrupted = Thread.interrupted()
    try {
      heartbeats.awaitTermination(timing.staleMillis, TimeUnit.MILLISECONDS)
      ()
    } finally if (interrupted) Thread.currentThread().interrupt()
  }

  /** Releases the lock, if this writer still holds it. */
  override def close(): Unit = {
    stop()
    try
      if (read(files, file).flatMap(parse).exists(_.token == own.token)) {
        files.delete(file, false)
        ()
      }
    catch {
      case error: IOException => log.warn(s"Deleting the lock $file failed: $error")
    } finally {
      LocksHere.remove(nameOf(files, file))
      ()
    }
  }
}

private[firesteel] object CheckpointLock {
  private val log = LoggerFactory.getLogger("firesteel.checkpoint.CheckpointLock")
  private implicit val formats: DefaultFormats.type = DefaultFormats
  private val PollMillis = 200L

  val Timing: LockTiming = LockTiming(beatMillis = 5000, staleMillis = 30000)

  /** The locks that this process holds. */
  private val LocksHere = ConcurrentHashMap.newKeySet[String]()

  /** Takes the lock; waits while it is unknown if its owner is alive.
    *
    * @throws firesteel.bridge.CheckpointException
    *   naming the file and its owner, if the owner is alive
    */
  def acquire(files: FileSystem, file: Path, timing: LockTiming = Timing): CheckpointLock = {
    val name = nameOf(files, file)
    if (!LocksHere.add(name)) {
      throw new CheckpointException(
        s"The checkpoints of this fit are in use: another fit of this process holds $file; wait for " +
          "it, or use another checkpointDir"
      )
    }
    try {
      val own = thisProcess()
      take(files, file, own, timing, None)
      new CheckpointLock(files, file, own, timing)
    } catch {
      case error: Throwable =>
        LocksHere.remove(name)
        throw error
    }
  }

  /** @param watched
    *   the content of the file, and the time since which it is the same
    */
  @tailrec
  private def take(
      files: FileSystem,
      file: Path,
      own: LockOwner,
      timing: LockTiming,
      watched: Option[(String, Long)]
  ): Unit =
    if (!(create(files, file, own) && confirmed(files, file, own))) {
      val now = System.nanoTime()
      val content = read(files, file)
      val next = (content, watched) match {
        case (None, _) => None
        case (Some(text), Some((before, _))) if text != before => refuse(file, text)
        case (Some(_), Some(_)) => watched
        case (Some(text), None) =>
          log.info(s"Waiting to see whether the owner of $file is alive: $text")
          Some(text -> now)
      }
      val stale = next.exists { case (text, since) =>
        (now - since) / 1000000L > timing.staleMillis || parse(text).exists(isDead)
      }
      if (stale) {
        log.info(s"Taking over the lock $file: its owner has ended")
        write(files, file, own)
        if (!confirmed(files, file, own)) refuse(file, read(files, file).getOrElse(""))
      } else {
        Thread.sleep(PollMillis)
        take(files, file, own, timing, next)
      }
    }

  private def refuse(file: Path, text: String): Nothing = {
    val owner = parse(text).fold("an unknown process")(o => s"process ${o.process} on ${o.host}")
    throw new CheckpointException(
      s"The checkpoints of this fit are in use: $owner holds $file; end that fit, or use another checkpointDir"
    )
  }

  private def create(files: FileSystem, file: Path, own: LockOwner): Boolean =
    try {
      HadoopFiles.write(files, file, text(own), overwrite = false)
      true
    } catch {
      case _: FileAlreadyExistsException => false
      case error: IOException =>
        if (Try(files.exists(file)).getOrElse(false)) false else throw error
    }

  /** Returns true if the file still has this writer's content after a moment. Not every file system creates files
    * exclusively: of two writers that create a file at the same time, the last one holds the lock.
    */
  private def confirmed(files: FileSystem, file: Path, own: LockOwner): Boolean = {
    Thread.sleep(PollMillis)
    read(files, file).flatMap(parse).exists(_.token == own.token)
  }

  private def write(files: FileSystem, file: Path, own: LockOwner): Unit =
    HadoopFiles.write(files, file, text(own), overwrite = true)

  private def read(files: FileSystem, file: Path): Option[String] =
    try Some(new String(HadoopFiles.read(files, file), UTF_8))
    catch {
      case _: FileNotFoundException => None
      // Read while it was being rewritten: the content has changed, so its owner is alive.
      case _: ChecksumException => Some("")
    }

  private def text(own: LockOwner): Array[Byte] = Serialization.write(own).getBytes(UTF_8)

  private def parse(text: String): Option[LockOwner] =
    Try(JsonMethods.parse(text).extract[LockOwner]).toOption

  private def nameOf(files: FileSystem, file: Path): String = files.makeQualified(file).toString

  /** Returns true if the owner was a process of this machine that has ended. */
  private def isDead(owner: LockOwner): Boolean =
    owner.place.nonEmpty && owner.place == place() && {
      val process = ProcessHandle.of(owner.process)
      !process.isPresent || !process.get.isAlive || startOf(process.get) != owner.since
    }

  private def thisProcess(): LockOwner = {
    val process = ProcessHandle.current()
    val host = Try(InetAddress.getLocalHost.getHostName).getOrElse("an unknown host")
    LockOwner(UUID.randomUUID().toString, place(), process.pid(), startOf(process), host, 0)
  }

  private def startOf(process: ProcessHandle): String =
    process.info().startInstant().map[String](_.toString).orElse("")

  /** The boot id of this machine and the pid namespace of this process: containers have their own. */
  private def place(): String = Try {
    val boot = Files.readString(Paths.get("/proc/sys/kernel/random/boot_id")).trim
    s"$boot ${Files.readSymbolicLink(Paths.get("/proc/self/ns/pid"))}"
  }.getOrElse("")

  private[firesteel] def thread(name: String)(body: Runnable): Thread = {
    val thread = new Thread(body, name)
    thread.setDaemon(true)
    thread
  }
}
