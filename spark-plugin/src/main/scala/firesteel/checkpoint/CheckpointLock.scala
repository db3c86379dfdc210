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

/** How a lock shows that its owner lives.
  *
  * @param beatMillis
  *   its owner rewrites it that often
  * @param staleMillis
  *   one that is not rewritten for so long has lost its owner
  */
private[firesteel] final case class LockTiming(beatMillis: Long, staleMillis: Long)

/** Who holds a lock; what its file says.
  *
  * @param token
  *   is nobody else's
  * @param place
  *   the machine since its start, and what of its processes can be seen; empty where it cannot be told
  * @param process
  *   the process's number there
  * @param since
  *   when that process was started
  * @param host
  *   for people
  * @param beat
  *   how often the lock has been rewritten
  */
private[firesteel] final case class LockOwner(
    token: String,
    place: String,
    process: Long,
    since: String,
    host: String,
    beat: Long
)

/** A file that only one writer has at a time. It is created by whoever finds none, read back, and rewritten at every beat;
  * one whose content stays the same for long, or whose process is known to be dead, is taken over. No clocks are
  * compared: who waits watches the file himself.
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

  /** Whether nobody else can have it. */
  def held: Boolean = !lost && (System.nanoTime() - last) / 1000000L < timing.staleMillis

  private def beat(): Unit =
    try
      if (!read(files, file).flatMap(parse).exists(_.token == own.token)) {
        if (!lost) log.warn(s"The lock $file was taken by somebody else: no more checkpoints")
        lost = true
      } else {
        beats += 1
        write(files, file, own.copy(beat = beats))
        last = System.nanoTime()
      }
    catch { case NonFatal(error) => log.warn(s"The lock $file cannot be renewed: $error") }

  /** Stops renewing it. */
  def stop(): Unit = {
    heartbeats.shutdownNow()
    // An interrupted thread of this process still waits for the beat: a write after the release would leave a lock.
    val interrupted = Thread.interrupted()
    try {
      heartbeats.awaitTermination(timing.staleMillis, TimeUnit.MILLISECONDS)
      ()
    } finally if (interrupted) Thread.currentThread().interrupt()
  }

  /** Gives it back, if it is still this one's. */
  override def close(): Unit = {
    stop()
    try
      if (read(files, file).flatMap(parse).exists(_.token == own.token)) {
        files.delete(file, false)
        ()
      }
    catch {
      case error: IOException => log.warn(s"The lock $file cannot be deleted: $error")
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

  /** The locks of this process. */
  private val LocksHere = ConcurrentHashMap.newKeySet[String]()

  /** Takes the lock; waits while it is not known whether its owner lives.
    *
    * @throws firesteel.bridge.CheckpointException
    *   naming the file and the owner, if he lives
    */
  def acquire(files: FileSystem, file: Path, timing: LockTiming = Timing): CheckpointLock = {
    val name = nameOf(files, file)
    if (!LocksHere.add(name)) {
      throw new CheckpointException(
        s"The checkpoints of this fit are in use: another fit of this process holds $file"
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
    *   what the file has content since when
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
          log.info(s"Waiting whether the owner of $file lives: $text")
          Some(text -> now)
      }
      val stale = next.exists { case (text, since) =>
        (now - since) / 1000000L > timing.staleMillis || parse(text).exists(isDead)
      }
      if (stale) {
        log.info(s"The lock $file is taken over: its owner is gone")
        write(files, file, own)
        if (!confirmed(files, file, own)) refuse(file, read(files, file).getOrElse(""))
      } else {
        Thread.sleep(PollMillis)
        take(files, file, own, timing, next)
      }
    }

  private def refuse(file: Path, text: String): Nothing = {
    val owner = parse(text).fold("somebody")(o => s"process ${o.process} on ${o.host}")
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

  /** Whether the file is this one's after a moment: not every file system creates exclusively, so that of two who created
    * it at the same time the last one has it.
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
      // Read while it was being rewritten: not what it content before, so its owner lives.
      case _: ChecksumException => Some("")
    }

  private def text(own: LockOwner): Array[Byte] = Serialization.write(own).getBytes(UTF_8)

  private def parse(text: String): Option[LockOwner] =
    Try(JsonMethods.parse(text).extract[LockOwner]).toOption

  private def nameOf(files: FileSystem, file: Path): String = files.makeQualified(file).toString

  /** Whether an owner is a process of this machine that is no more. */
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

  /** The start of this machine and the space in which its processes are numbered: containers have their own. */
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
