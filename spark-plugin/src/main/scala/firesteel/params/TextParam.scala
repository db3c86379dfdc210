package firesteel.params

import java.lang.reflect.{Constructor, Modifier}

import scala.reflect.ClassTag

import org.apache.spark.ml.param.{Param, Params}
import org.apache.spark.ml.util.Identifiable
import sun.reflect.ReflectionFactory

/** Creates parameters with a text as value. The constructor of `Param` takes a class tag in Spark 4.0.0 and none in later
  * releases; compiled calls of one would not link with the other, so it is called through reflection.
  */
private[firesteel] object TextParam {
  private val commonTypes =
    Seq[Class[_]](classOf[Identifiable], classOf[String], classOf[String], classOf[_ => _])

  private val constructor: Constructor[_] = classOf[Param[_]].getConstructors
    .find(_.getParameterTypes.toSeq.startsWith(commonTypes))
    .getOrElse(throw new NoSuchMethodError("a public constructor of Spark's Param"))

  private val tags: Seq[AnyRef] =
    if (constructor.getParameterCount == commonTypes.size) Nil else Seq(ClassTag(classOf[String]))

  def apply(
      parent: Params,
      name: String,
      doc: String,
      isValid: String => Boolean = _ => true
  ): Param[String] = create(constructor, parent, name, doc, isValid).asInstanceOf[Param[String]]

  /** Returns a function that creates parameters of a subclass from the arguments of [[apply]]. It calls the constructor
    * of `Param` and not that of the subclass, which therefore must not have fields. `ReflectionFactory` is in the module
    * `jdk.unsupported` of the JDK.
    */
  def of[P <: Param[String]](
      subclass: Class[P]
  ): (Params, String, String, String => Boolean) => P = {
    val fields =
      subclass.getDeclaredFields.filterNot(field => Modifier.isStatic(field.getModifiers))
    require(fields.isEmpty, s"${subclass.getName} has fields: ${fields.mkString(", ")}")
    val inherited = ReflectionFactory.getReflectionFactory
      .newConstructorForSerialization(subclass, constructor)
    (parent, name, doc, isValid) => subclass.cast(create(inherited, parent, name, doc, isValid))
  }

  private def create(
      constructor: Constructor[_],
      parent: Params,
      name: String,
      doc: String,
      isValid: String => Boolean
  ): Any = constructor.newInstance(Seq[AnyRef](parent, name, doc, isValid) ++ tags: _*)
}
