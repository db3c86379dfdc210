package firesteel.bridge

import java.io.{ByteArrayInputStream, ByteArrayOutputStream, ObjectInputStream, ObjectOutputStream}
import java.util.Properties

import scala.jdk.CollectionConverters._
import scala.util.Using

import org.scalatest.funsuite.AnyFunSuite

class NativeErrorsSuite extends AnyFunSuite {

  /** The table that the tests of `native/bridge` read too. */
  private val table: Map[Int, String] = {
    val properties = new Properties
    Using.resource(getClass.getResourceAsStream("/firesteel/error-codes.properties"))(
      properties.load
    )
    properties.asScala.map { case (code, name) => code.toInt -> name }.toMap
  }

  test("every code of the shared table becomes the class that it names, with its text") {
    assert(table.size == 18)
    table.foreach { case (code, name) =>
      val error = NativeErrors.create(code, s"text of $code")
      assert(error.getClass.getName == s"firesteel.bridge.$name")
      assert(error.getMessage == s"text of $code")
      assert(NativeErrors.codeOf(error) == code)
    }
  }

  test("a code of a newer library becomes an InternalException that names it") {
    val error = NativeErrors.create(99, "unheard of")
    assert(error.isInstanceOf[InternalException])
    assert(error.getMessage == "unknown error code 99: unheard of")
    assert(NativeErrors.codeOf(new RuntimeException("no code")) == InternalException.CODE)
  }

  test("what a user did wrong is an IllegalArgumentException") {
    assert(NativeErrors.create(1, "").isInstanceOf[IllegalArgumentException])
    assert(NativeErrors.create(2, "").isInstanceOf[IllegalArgumentException])
  }

  test("an exception keeps class, text and code on its way from an executor to the driver") {
    table.keys.foreach { code =>
      val bytes = new ByteArrayOutputStream
      Using.resource(new ObjectOutputStream(bytes))(
        _.writeObject(NativeErrors.create(code, "far away"))
      )
      val back = Using.resource(new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray)))(
        _.readObject().asInstanceOf[RuntimeException]
      )
      assert(back.getClass.getSimpleName == table(code))
      assert(back.getMessage == "far away")
      assert(NativeErrors.codeOf(back) == code)
    }
  }
}
